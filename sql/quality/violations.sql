select
    '{rule}' as rule,
    '{severity}' as severity,
    table_name,
    record_id,
    column_name,
    details,
from quality.{rule}
