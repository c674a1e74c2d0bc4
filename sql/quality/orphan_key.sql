select
    '{table}' as table_name,
    {record_id} as record_id,
    '{column}' as column_name,
    concat(records.{column}, ' is in no row of {target}') as details,
from {table} as records
left anti join {target} as targets on targets.{target_key} = records.{column}
where
    records.{column} is not null
    and {counts}
    and (select count(*) from {target}) > 0
