with credit as (
    select month, model, campaign_id, weight, credit from core.credit_sums
),

models as (
    select model from core.touch_models
),

spend_by_campaign as (
    select month, campaign_id, sum(amount) as amount
    from core.spend
    group by month, campaign_id
),

credit_and_spend as (
    select
        month,
        model,
        campaign_id,
        weight as conversions,
        credit as revenue,
        cast(0 as decimal(18, 2)) as spend,
    from credit
    union all
    select
        spend_by_campaign.month,
        models.model,
        spend_by_campaign.campaign_id,
        cast(0 as double) as conversions,
        cast(0 as decimal(18, 2)) as revenue,
        cast(spend_by_campaign.amount as decimal(18, 2)) as spend,
    from spend_by_campaign
    cross join models
),

final as (
    select
        month,
        model,
        campaign_id,
        sum(conversions) as conversions,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(spend) as decimal(18, 2)) as spend,
    from credit_and_spend
    group by month, model, campaign_id
)

select
    month,
    model,
    campaign_id,
    conversions,
    revenue,
    spend,
    cast(revenue as double) / nullif(cast(spend as double), 0) as roas,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
