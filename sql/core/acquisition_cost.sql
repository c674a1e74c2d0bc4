with spend as (
    select channel, amount, month from core.spend
),

costs as (
    select channel, currency, amount, month
    from finance.costs
    where month_of(month) <= last_day()
),

rates as (
    select currency, rate, day from core.fx_days
),

costs_valued as (
    select
        costs.channel,
        coalesce(
            case
                when costs.currency = setting('reporting.currency') then costs.amount
                else cast(costs.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        month_of(costs.month) as month,
    from costs
    left join rates on rates.currency = costs.currency and rates.day = costs.month
),

both_kinds as (
    select channel, amount, true as is_ad_spend, month from spend
    union all
    select channel, amount, false as is_ad_spend, month from costs_valued
),

final as (
    select
        channel,
        cast(amount as decimal(18, 2)) as amount,
        is_ad_spend,
        add_months(month, setting('cac.cost_lag_months')) as month,
    from both_kinds
)

select channel, amount, is_ad_spend, month
from final
where month <= month_of(last_day())
