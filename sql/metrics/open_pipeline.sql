with deals as (
    select opportunity_id, stage, position, amount, weighted_amount, close_month
    from core.open_opportunities
)

select
    stage,
    position,
    close_month,
    count(opportunity_id) as opportunities,
    cast(sum(amount) as decimal(18, 2)) as amount,
    cast(sum(weighted_amount) as decimal(18, 2)) as weighted_amount,
from deals
group by stage, position, close_month
