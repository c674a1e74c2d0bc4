with facts as (
    select kind, amount, month from core.revenue_facts
),

sums as (
    select
        month,
        sum(case when kind = 'invoiced' then amount end) as invoiced,
        sum(case when kind = 'collected' then amount end) as collected,
        sum(case when kind = 'refunded' then amount end) as refunded,
    from facts
    group by month
),

spine as (
    select
        month as month_of_sums,
        invoiced,
        collected,
        refunded,
        unnest(month_series(
            month,
            coalesce(add_months(lead(month) over (order by month), -1), month_of(last_day()))
        )) as month,
    from sums
),

final as (
    select
        month,
        cast(
            coalesce(case when month = month_of_sums then invoiced end, 0) as decimal(18, 2)
        ) as invoiced,
        cast(
            coalesce(case when month = month_of_sums then collected end, 0) as decimal(18, 2)
        ) as collected,
        cast(
            coalesce(case when month = month_of_sums then refunded end, 0) as decimal(18, 2)
        ) as refunded,
    from spine
)

select
    month,
    invoiced,
    collected,
    refunded,
    cast(collected - refunded as decimal(18, 2)) as net_collected,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
