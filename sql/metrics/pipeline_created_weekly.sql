with sums as (
    select created_week as week, count(*) as opportunities, sum(created_amount) as amount
    from core.opportunity_values
    group by created_week
),

-- Every week of the spine has a row; the sums belong to their own week only.
filled as (
    select
        opportunities,
        amount,
        week as week_of_sums,
        unnest(week_series(
            week,
            coalesce(
                cast(lead(week) over (order by week) - interval '7 days' as date),
                last_day()
            )
        )) as week,
    from sums
),

final as (
    select
        week,
        case when week = week_of_sums then opportunities else 0 end as opportunities,
        case when week = week_of_sums then amount else 0 end as amount,
    from filled
)

select
    week,
    opportunities,
    cast(amount as decimal(18, 2)) as amount,
    week < local_week(setting('reporting.as_of')) as is_complete,
from final
