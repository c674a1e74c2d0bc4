with sums as (
    select
        source,
        count(*) as leads,
        count(*) filter (where is_qualified) as qualified,
        count(*) filter (where has_opportunity) as opportunities,
        count(*) filter (where is_won) as won,
        count(*) filter (where is_paid) as paid,
        cohort_month,
    from core.lead_outcomes
    group by source, cohort_month
),

neighbours as (
    select
        source,
        leads,
        qualified,
        opportunities,
        won,
        paid,
        cohort_month as month_of_sums,
        case
            when lag(cohort_month) over (partition by source order by cohort_month) is null
                then min(cohort_month) over ()
            else cohort_month
        end as from_month,
        coalesce(
            add_months(lead(cohort_month) over (partition by source order by cohort_month), -1),
            last_day()
        ) as to_day,
    from sums
),

-- Every source has every month of the spine; the sums belong to their own month only.
filled as (
    select
        source,
        leads,
        qualified,
        opportunities,
        won,
        paid,
        month_of_sums,
        unnest(month_series(from_month, to_day)) as cohort_month,
    from neighbours
),

final as (
    select
        cohort_month,
        source,
        case when cohort_month = month_of_sums then leads else 0 end as leads,
        case when cohort_month = month_of_sums then qualified else 0 end as qualified,
        case when cohort_month = month_of_sums then opportunities else 0 end as opportunities,
        case when cohort_month = month_of_sums then won else 0 end as won,
        case when cohort_month = month_of_sums then paid else 0 end as paid,
    from filled
)

select
    cohort_month,
    source,
    leads,
    qualified,
    opportunities,
    won,
    paid,
    cast(qualified as double) / nullif(leads, 0) as lead_to_qualified,
    cast(opportunities as double) / nullif(qualified, 0) as qualified_to_opportunity,
    cast(won as double) / nullif(opportunities, 0) as opportunity_to_won,
    cast(paid as double) / nullif(won, 0) as won_to_paid,
    cast(paid as double) / nullif(leads, 0) as lead_to_paid,
    cohort_month < local_month(setting('reporting.as_of')) as is_complete,
from final
