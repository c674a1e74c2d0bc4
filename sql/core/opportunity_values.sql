with deals as (
    select
        opportunity_id,
        account_id,
        owner_id,
        campaign_id,
        opportunity_type,
        current_stage as stage,
        currency,
        amount as first_amount,
        case when is_won and closed_at is not null then current_amount end as won_amount,
        is_won,
        is_closed,
        created_at,
        closed_at,
    from core.opportunity_states
    where is_first
),

rates as (
    select currency, rate, day from core.fx_days
),

final as (
    select
        deals.opportunity_id,
        deals.account_id,
        deals.owner_id,
        deals.campaign_id,
        deals.opportunity_type,
        deals.stage,
        coalesce(
            case
                when deals.currency = setting('reporting.currency') then deals.first_amount
                else cast(deals.first_amount * created_rates.rate as decimal(18, 2))
            end,
            0
        ) as created_amount,
        coalesce(
            case
                when deals.currency = setting('reporting.currency') then deals.won_amount
                else cast(deals.won_amount * closed_rates.rate as decimal(18, 2))
            end,
            0
        ) as won_amount,
        days_between(deals.created_at, deals.closed_at) as days_to_close,
        deals.is_won,
        deals.is_closed,
        deals.created_at,
        deals.closed_at,
    from deals
    left join rates as created_rates
        on created_rates.currency = deals.currency
        and created_rates.day = local_day(deals.created_at)
    left join rates as closed_rates
        on closed_rates.currency = deals.currency
        and closed_rates.day = local_day(deals.closed_at)
)

select
    opportunity_id,
    account_id,
    owner_id,
    campaign_id,
    opportunity_type,
    stage,
    cast(created_amount as decimal(18, 2)) as created_amount,
    cast(won_amount as decimal(18, 2)) as won_amount,
    days_to_close,
    is_won,
    is_closed,
    local_month(created_at) as created_month,
    local_week(created_at) as created_week,
    local_month(closed_at) as closed_month,
    local_week(closed_at) as closed_week,
    created_at,
    closed_at,
from final
