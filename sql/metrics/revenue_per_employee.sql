with revenue as (
    select month, invoiced from metrics.revenue
),

recurring as (
    select month, mrr from metrics.arpa
),

employees as (
    select
        month_of(month) as month,
        -- The last row of a month is its end.
        last_value(headcount order by month) as headcount,
    from finance.headcount
    group by month_of(month)
),

months as (
    select
        revenue.month,
        revenue.invoiced,
        employees.headcount,
        coalesce(recurring.mrr, 0) * 12 as arr,
    from revenue
    left join recurring on recurring.month = revenue.month
    left join employees on employees.month = revenue.month
),

years as (
    select
        month,
        sum(invoiced) over last_12_months as revenue_12m,
        avg(headcount) over last_12_months as avg_headcount_12m,
        arr,
        headcount,
        count(*) over last_12_months = 12 as has_year,
    from months
    window last_12_months as (order by month rows between 11 preceding and current row)
),

final as (
    select
        month,
        cast(case when has_year then revenue_12m end as decimal(18, 2)) as revenue_12m,
        case when has_year then avg_headcount_12m end as avg_headcount_12m,
        cast(arr as decimal(18, 2)) as arr,
        headcount,
    from years
)

select
    month,
    revenue_12m,
    avg_headcount_12m,
    cast(revenue_12m as double) / nullif(avg_headcount_12m, 0) as revenue_per_employee,
    arr,
    cast(arr as double) / nullif(headcount, 0) as arr_per_employee,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
