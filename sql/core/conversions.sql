with won as (
    select
        opportunity_id,
        opportunity_type,
        account_id,
        currency,
        amount,
        created_at,
        closed_at,
    from core.opportunities
    where is_won and closed_at is not null
),

rates as (
    select currency, rate, day from core.fx_days
),

valued as (
    select
        won.opportunity_id,
        won.opportunity_type,
        won.account_id,
        coalesce(
            case
                when won.currency = setting('reporting.currency') then won.amount
                else cast(won.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as value,
        won.created_at,
        won.closed_at,
    from won
    left join rates on rates.currency = won.currency and rates.day = local_day(won.closed_at)
),

final as (
    select
        opportunity_id,
        opportunity_type,
        account_id,
        cast(value as decimal(18, 2)) as value,
        account_id is not null and row_number() over (
            partition by account_id order by closed_at, opportunity_id
        ) = 1 as is_first,
        local_month(closed_at) as month,
        created_at,
        closed_at,
    from valued
)

select
    opportunity_id,
    opportunity_type,
    account_id,
    value,
    is_first,
    month,
    created_at,
    closed_at,
from final
