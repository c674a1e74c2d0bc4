with credit as (
    select month, model, channel, weight, credit from core.credit_sums
    union all
    select month, model, channel, weight, credit from core.channel_credit
),

models as (
    select model from core.attribution_models
),

spend_by_channel as (
    select month, channel, sum(amount) as amount
    from core.spend
    group by month, channel
),

credit_and_spend as (
    select
        month,
        model,
        channel,
        weight as conversions,
        credit as revenue,
        cast(0 as decimal(18, 2)) as spend,
    from credit
    union all
    select
        spend_by_channel.month,
        models.model,
        spend_by_channel.channel,
        cast(0 as double) as conversions,
        cast(0 as decimal(18, 2)) as revenue,
        cast(spend_by_channel.amount as decimal(18, 2)) as spend,
    from spend_by_channel
    cross join models
),

final as (
    select
        month,
        model,
        channel,
        sum(conversions) as conversions,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(spend) as decimal(18, 2)) as spend,
    from credit_and_spend
    group by month, model, channel
)

select
    month,
    model,
    channel,
    conversions,
    revenue,
    spend,
    cast(revenue as double) / nullif(cast(spend as double), 0) as roas,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
