with costs as (
    select month, amount, is_ad_spend from core.acquisition_cost
),

customers as (
    select month from core.conversions where is_first
),

facts as (
    select
        month,
        case when is_ad_spend then amount end as ad_spend,
        case when not is_ad_spend then amount end as other_cost,
        0 as new_customers,
    from costs
    union all
    select
        month,
        cast(null as decimal(18, 2)) as ad_spend,
        cast(null as decimal(18, 2)) as other_cost,
        1 as new_customers,
    from customers
),

months_with_facts as (
    select
        month,
        coalesce(sum(ad_spend), 0) as ad_spend,
        coalesce(sum(other_cost), 0) as other_cost,
        sum(new_customers) as new_customers,
    from facts
    group by month
),

spine as (
    select
        month as month_of_facts,
        ad_spend,
        other_cost,
        new_customers,
        unnest(month_series(
            month,
            coalesce(add_months(lead(month) over (order by month), -1), month_of(last_day()))
        )) as month,
    from months_with_facts
),

final as (
    select
        month,
        cast(
            case when month = month_of_facts then ad_spend else 0 end as decimal(18, 2)
        ) as ad_spend,
        cast(
            case when month = month_of_facts then other_cost else 0 end as decimal(18, 2)
        ) as other_cost,
        case when month = month_of_facts then new_customers else 0 end as new_customers,
    from spine
)

select
    month,
    ad_spend,
    other_cost,
    cast(ad_spend + other_cost as decimal(18, 2)) as acquisition_cost,
    new_customers,
    cast(ad_spend + other_cost as double) / nullif(new_customers, 0) as cac,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
