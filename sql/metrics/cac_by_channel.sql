with models as (
    select model from core.touch_models
),

customers as (
    select month, model, channel, weight as new_customers
    from core.credit_sums
    where is_first
),

months_with_customers as (
    select distinct month from core.conversions where is_first
),

costs as (
    select month, channel, amount, is_ad_spend from core.acquisition_cost
),

direct_cost as (
    select
        month,
        channel,
        coalesce(sum(case when is_ad_spend then amount end), 0) as ad_spend,
        coalesce(sum(case when not is_ad_spend then amount end), 0) as channel_cost,
    from costs
    where channel is not null
    group by month, channel
),

shared_cost as (
    select month, cast(sum(amount) as decimal(18, 2)) as amount
    from costs
    where channel is null
    group by month
),

customers_and_cost as (
    select
        month,
        model,
        channel,
        new_customers,
        cast(0 as decimal(18, 2)) as ad_spend,
        cast(0 as decimal(18, 2)) as channel_cost,
    from customers
    union all
    select
        direct_cost.month,
        models.model,
        direct_cost.channel,
        cast(0 as double) as new_customers,
        cast(direct_cost.ad_spend as decimal(18, 2)) as ad_spend,
        cast(direct_cost.channel_cost as decimal(18, 2)) as channel_cost,
    from direct_cost
    cross join models
),

by_channel as (
    select
        month,
        model,
        channel,
        sum(new_customers) as new_customers,
        cast(sum(ad_spend) as decimal(18, 2)) as ad_spend,
        cast(sum(channel_cost) as decimal(18, 2)) as channel_cost,
    from customers_and_cost
    group by month, model, channel
),

shares as (
    select
        month,
        model,
        channel,
        new_customers,
        ad_spend,
        channel_cost,
        coalesce(sum(new_customers) over (
            partition by month, model order by channel
            rows between unbounded preceding and 1 preceding
        ), 0) as customers_before,
        sum(new_customers) over (
            partition by month, model order by channel
            rows between unbounded preceding and current row
        ) as customers_up_to,
        sum(new_customers) over (partition by month, model) as customers_of_month,
        row_number() over (partition by month, model order by channel desc) as place_from_last,
    from by_channel
),

allocated as (
    select
        shares.month,
        shares.model,
        shares.channel,
        shares.ad_spend,
        shares.channel_cost,
        case
            when shares.customers_of_month > 0
                then coalesce(cent_share(
                    shared_cost.amount,
                    shares.customers_before / shares.customers_of_month,
                    case
                        when shares.place_from_last = 1 then 1
                        else shares.customers_up_to / shares.customers_of_month
                    end
                ), 0)
            else 0
        end as allocated_cost,
        shares.new_customers,
    from shares
    left join shared_cost on shared_cost.month = shares.month
),

unallocated as (
    select
        shared_cost.month,
        models.model,
        '(unallocated)' as channel,
        cast(0 as decimal(18, 2)) as ad_spend,
        cast(0 as decimal(18, 2)) as channel_cost,
        shared_cost.amount as allocated_cost,
        cast(0 as double) as new_customers,
    from shared_cost
    left anti join months_with_customers on months_with_customers.month = shared_cost.month
    cross join models
    where shared_cost.amount <> 0
),

final as (
    select month, model, channel, ad_spend, channel_cost, allocated_cost, new_customers
    from allocated
    union all
    select month, model, channel, ad_spend, channel_cost, allocated_cost, new_customers
    from unallocated
)

select
    month,
    model,
    channel,
    ad_spend,
    channel_cost,
    cast(allocated_cost as decimal(18, 2)) as allocated_cost,
    cast(ad_spend + channel_cost + allocated_cost as decimal(18, 2)) as acquisition_cost,
    new_customers,
    cast(ad_spend as double) / nullif(new_customers, 0) as paid_cac,
    cast(ad_spend + channel_cost + allocated_cost as double) / nullif(new_customers, 0) as cac,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
