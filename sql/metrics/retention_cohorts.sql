with months as (
    select first_month, closing, closing_at_first, month from core.mrr_months
),

sums as (
    select
        first_month,
        month,
        count(*) filter (where closing > 0) as customers,
        sum(closing_at_first) as mrr,
    from months
    group by first_month, month
),

cohorts as (
    select
        first_month,
        month as month_of_sums,
        customers,
        mrr,
        first_value(customers) over cohort as customers_at_first,
        first_value(mrr) over cohort as mrr_at_first,
        unnest(month_series(
            month,
            coalesce(add_months(lead(month) over cohort, -1), month_of(last_day()))
        )) as month,
    from sums
    window cohort as (partition by first_month order by month)
),

final as (
    select
        first_month,
        (date_part('year', month) - date_part('year', first_month)) * 12
        + date_part('month', month) - date_part('month', first_month) as months_since,
        case when month = month_of_sums then customers else 0 end as customers,
        cast(case when month = month_of_sums then mrr else 0 end as decimal(18, 2)) as mrr,
        customers_at_first,
        mrr_at_first,
        month,
    from cohorts
)

select
    first_month as cohort_month,
    cast(months_since as bigint) as months_since,
    customers,
    mrr,
    cast(customers as double) / nullif(customers_at_first, 0) as logo_retention,
    cast(mrr as double) / nullif(cast(mrr_at_first as double), 0) as revenue_retention,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
