with sums as (
    select
        sum(opening) as opening,
        sum(created) as created,
        sum(increased) as increased,
        sum(decreased) as decreased,
        sum(won) as won,
        sum(lost) as lost,
        sum(closing) as closing,
        month,
    from core.opportunity_months
    group by month
),

-- Every month of the spine has a row; without a deal in any month there is nothing to carry over.
filled as (
    select
        opening,
        created,
        increased,
        decreased,
        won,
        lost,
        closing,
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
        case when month = month_of_sums then opening else 0 end as opening,
        case when month = month_of_sums then created else 0 end as created,
        case when month = month_of_sums then increased else 0 end as increased,
        case when month = month_of_sums then decreased else 0 end as decreased,
        case when month = month_of_sums then won else 0 end as won,
        case when month = month_of_sums then lost else 0 end as lost,
        case when month = month_of_sums then closing else 0 end as closing,
    from filled
)

select
    month,
    cast(opening as decimal(18, 2)) as opening,
    cast(created as decimal(18, 2)) as created,
    cast(increased as decimal(18, 2)) as increased,
    cast(decreased as decimal(18, 2)) as decreased,
    cast(won as decimal(18, 2)) as won,
    cast(lost as decimal(18, 2)) as lost,
    cast(closing as decimal(18, 2)) as closing,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
