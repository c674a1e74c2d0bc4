with spine as (
    select month from core.mrr_spine
),

sums as (
    select
        sum(closing) as mrr,
        count(*) filter (where closing > 0) as customers,
        month,
    from core.mrr_months
    group by month
),

final as (
    select
        spine.month,
        cast(coalesce(sums.mrr, 0) as decimal(18, 2)) as mrr,
        coalesce(sums.customers, 0) as customers,
    from spine
    left join sums on sums.month = spine.month
)

select
    month,
    mrr,
    customers,
    cast(mrr as double) / nullif(customers, 0) as arpa,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
