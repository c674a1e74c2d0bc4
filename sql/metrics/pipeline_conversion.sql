with sums as (
    select
        created_month as cohort_month,
        count(*) as opportunities,
        count(*) filter (where not is_closed) as open_opportunities,
        sum(created_amount) as pipeline_amount,
        sum(won_amount) as won_amount,
        sum(case when not is_closed then created_amount else 0 end) as open_amount,
    from core.opportunity_values
    group by created_month
),

-- Every month of the spine has a row; the sums belong to their own month only.
filled as (
    select
        opportunities,
        open_opportunities,
        pipeline_amount,
        won_amount,
        open_amount,
        cohort_month as month_of_sums,
        unnest(month_series(
            cohort_month,
            coalesce(add_months(lead(cohort_month) over (order by cohort_month), -1), last_day())
        )) as cohort_month,
    from sums
),

final as (
    select
        cohort_month,
        case when cohort_month = month_of_sums then opportunities else 0 end as opportunities,
        case
            when cohort_month = month_of_sums then open_opportunities else 0
        end as open_opportunities,
        case when cohort_month = month_of_sums then pipeline_amount else 0 end as pipeline_amount,
        case when cohort_month = month_of_sums then won_amount else 0 end as won_amount,
        case when cohort_month = month_of_sums then open_amount else 0 end as open_amount,
    from filled
)

select
    cohort_month,
    opportunities,
    cast(pipeline_amount as decimal(18, 2)) as pipeline_amount,
    cast(won_amount as decimal(18, 2)) as won_amount,
    cast(open_amount as decimal(18, 2)) as open_amount,
    cast(won_amount as double) / nullif(cast(pipeline_amount as double), 0) as conversion_rate,
    open_opportunities = 0 as is_mature,
    cohort_month < local_month(setting('reporting.as_of')) as is_complete,
from final
