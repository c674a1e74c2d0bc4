with deals as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        stage,
        currency,
        amount,
        probability,
        month_of(close_date) as close_month,
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
        deals.opportunity_id,
        deals.account_id,
        deals.owner_id,
        deals.opportunity_type,
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
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        stage,
        position,
        cast(coalesce(amount, 0) as decimal(18, 2)) as amount,
        cast(
            coalesce(cast(cast(amount as double) * probability as decimal(18, 6)), 0)
            as decimal(18, 2)
        ) as weighted_amount,
        close_month,
    from converted
)

select
    opportunity_id,
    account_id,
    owner_id,
    opportunity_type,
    stage,
    position,
    amount,
    weighted_amount,
    close_month,
from final
