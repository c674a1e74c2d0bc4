with sums as (
    select created_month as month, count(*) as opportunities, sum(created_amount) as amount
    from core.opportunity_values
    group by created_month
),

-- Every month of the spine has a row; the sums belong to their own month only.
filled as (
    select
        opportunities,
        amount,
        month as month_of_sums,
        unnest(month_series(
            month,
            coalesce(add_months(lead(month) over (order by month), -1), last_day())
        )) as month,
    from sums
),

final as (
    select
        month,
        case when month = month_of_sums then opportunities else 0 end as opportunities,
        case when month = month_of_sums then amount else 0 end as amount,
    from filled
)

select
    month,
    opportunities,
    cast(amount as decimal(18, 2)) as amount,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
