with spend as (
    select channel, campaign_id, platform, amount, day, month from core.spend
),

costs as (
    select channel, department, category, currency, amount, month
    from finance.costs
    where month_of(month) <= last_day()
),

rates as (
    select currency, rate, day from core.fx_days
),

costs_valued as (
    select
        costs.channel,
        costs.department,
        costs.category,
        coalesce(
            case
                when costs.currency = setting('reporting.currency') then costs.amount
                else cast(costs.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        costs.month as day,
        month_of(costs.month) as month,
    from costs
    left join rates on rates.currency = costs.currency and rates.day = costs.month
),

both_kinds as (
    select
        channel,
        campaign_id,
        platform,
        cast(null as varchar) as department,
        cast(null as varchar) as category,
        amount,
        true as is_ad_spend,
        day,
        month,
    from spend
    union all
    select
        channel,
        cast(null as varchar) as campaign_id,
        cast(null as varchar) as platform,
        department,
        category,
        amount,
        false as is_ad_spend,
        day,
        month,
    from costs_valued
),

final as (
    select
        channel,
        campaign_id,
        platform,
        department,
        category,
        cast(amount as decimal(18, 2)) as amount,
        is_ad_spend,
        day,
        add_months(month, setting('cac.cost_lag_months')) as month,
    from both_kinds
)

select
    channel,
    campaign_id,
    platform,
    department,
    category,
    amount,
    is_ad_spend,
    day,
    month,
from final
where month <= month_of(last_day())
