with won as (
    select opportunity_id, close_date
    from core.opportunities
    where is_won and closed_at is null
)

select
    'crm.opportunities' as table_name,
    opportunity_id as record_id,
    'closed_at' as column_name,
    concat(
        'won without a closing instant, expected on ',
        coalesce(cast(close_date as varchar), 'no day')
    ) as details,
from won
