select
    '{table}' as table_name,
    {record_id} as record_id,
    '{column}' as column_name,
    concat('"', records.{column}, '" does not match {pattern}') as details,
from {table} as records
where not regexp_like(cast(records.{column} as varchar), '{pattern}') and {counts}
