with deals as (
    select stage, currency, amount, probability, month_of(close_date) as close_month
    from core.opportunities
    where not is_closed
),

stages as (
    select stage, position from crm.stages
),

rates as (
    select currency, rate from core.fx_days where day = local_day(setting('reporting.as_of'))
),

converted as (
    select
        deals.stage,
        stages.position,
        case
            when deals.currency = setting('reporting.currency') then deals.amount
            else deals.amount * rates.rate
        end as amount,
        deals.probability,
        deals.close_month,
    from deals
    left join stages on stages.stage = deals.stage
    left join rates on rates.currency = deals.currency
),

final as (
    select
        stage,
        position,
        close_month,
        coalesce(cast(amount as decimal(18, 2)), 0) as amount,
        coalesce(
            cast(cast(cast(amount as double) * probability as decimal(18, 6)) as decimal(18, 2)), 0
        ) as weighted_amount,
    from converted
)

select
    stage,
    position,
    close_month,
    count(*) as opportunities,
    cast(sum(amount) as decimal(18, 2)) as amount,
    cast(sum(weighted_amount) as decimal(18, 2)) as weighted_amount,
from final
group by stage, position, close_month
