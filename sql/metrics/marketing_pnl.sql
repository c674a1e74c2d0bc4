with costs as (
    select
        month,
        channel,
        ad_spend,
        channel_cost + allocated_cost as other_cost,
        new_customers,
    from metrics.cac_by_channel
    where model = setting('cac.model')
),

revenue as (
    select month, channel, credit from core.credit_sums where model = setting('cac.model')
),

pipeline as (
    select month, channel, amount
    from metrics.pipeline_attribution_by_channel
    where model = setting('cac.model')
),

facts as (
    select
        month,
        channel,
        ad_spend,
        other_cost,
        cast(null as decimal(18, 2)) as attributed_pipeline,
        cast(null as decimal(18, 2)) as attributed_revenue,
        new_customers,
    from costs
    union all
    select
        month,
        channel,
        cast(null as decimal(18, 2)) as ad_spend,
        cast(null as decimal(18, 2)) as other_cost,
        cast(null as decimal(18, 2)) as attributed_pipeline,
        credit as attributed_revenue,
        cast(null as double) as new_customers,
    from revenue
    union all
    select
        month,
        channel,
        cast(null as decimal(18, 2)) as ad_spend,
        cast(null as decimal(18, 2)) as other_cost,
        amount as attributed_pipeline,
        cast(null as decimal(18, 2)) as attributed_revenue,
        cast(null as double) as new_customers,
    from pipeline
),

channels as (
    select
        month,
        channel,
        sum(ad_spend) as ad_spend,
        sum(other_cost) as other_cost,
        sum(attributed_pipeline) as attributed_pipeline,
        sum(attributed_revenue) as attributed_revenue,
        sum(new_customers) as new_customers,
    from facts
    group by month, channel
),

with_total as (
    select
        month,
        unnest(make_array(channel, '(all)')) as channel,
        ad_spend,
        other_cost,
        attributed_pipeline,
        attributed_revenue,
        new_customers,
    from channels
),

final as (
    select
        month,
        channel,
        cast(coalesce(sum(ad_spend), 0) as decimal(18, 2)) as ad_spend,
        cast(coalesce(sum(other_cost), 0) as decimal(18, 2)) as other_cost,
        -- The one model that no deal has before it is won.
        case
            when setting('cac.model') <> 'full_path'
                then cast(coalesce(sum(attributed_pipeline), 0) as decimal(18, 2))
        end as attributed_pipeline,
        cast(coalesce(sum(attributed_revenue), 0) as decimal(18, 2)) as attributed_revenue,
        coalesce(sum(new_customers), 0) as new_customers,
    from with_total
    group by month, channel
)

select
    month,
    channel,
    ad_spend,
    other_cost,
    cast(ad_spend + other_cost as decimal(18, 2)) as cost,
    attributed_pipeline,
    attributed_revenue,
    new_customers,
    cast(ad_spend + other_cost as double) / nullif(new_customers, 0) as cac,
    cast(attributed_revenue as double) / nullif(cast(ad_spend + other_cost as double), 0)
        as return_on_cost,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
