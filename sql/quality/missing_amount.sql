with won as (
    select opportunity_id, stage from core.opportunities where is_won and amount is null
)

select
    'crm.opportunities' as table_name,
    opportunity_id as record_id,
    'amount' as column_name,
    concat('won in stage ', stage, ' without an amount: it counts as 0') as details,
from won
