with entered as (
    select stage, position, is_won, closed_month as month
    from core.opportunity_stages
    where closed_month is not null
),

-- Every stage that a deal can enter has rows, whether or not one did.
open_stages as (
    select stage, position from crm.stages where not is_closed
),

facts as (
    select
        stage,
        position,
        case when is_won then 1 else 0 end as won,
        case when is_won then 0 else 1 end as lost,
        month,
    from entered
    union all
    select stage, position, 0 as won, 0 as lost, cast(null as date) as month from open_stages
),

sums as (
    select stage, position, sum(won) as won, sum(lost) as lost, month
    from facts
    group by stage, position, month
),

from_first_month as (
    select stage, position, won, lost, coalesce(month, min(month) over ()) as month from sums
),

once as (
    select stage, position, sum(won) as won, sum(lost) as lost, month
    from from_first_month
    group by stage, position, month
),

-- Every stage has every month of the spine; the sums belong to their own month only.
neighbours as (
    select
        stage,
        position,
        won,
        lost,
        month as month_of_sums,
        case
            when lag(month) over (partition by stage order by month) is null then min(month) over ()
            else month
        end as from_month,
        coalesce(
            add_months(lead(month) over (partition by stage order by month), -1),
            last_day()
        ) as to_day,
    from once
),

filled as (
    select
        stage,
        position,
        won,
        lost,
        month_of_sums,
        unnest(month_series(from_month, to_day)) as month,
    from neighbours
),

final as (
    select
        month,
        stage,
        position,
        case when month = month_of_sums then won else 0 end as won,
        case when month = month_of_sums then lost else 0 end as lost,
    from filled
)

select
    month,
    stage,
    position,
    won + lost as entered,
    won,
    lost,
    cast(won as double) / nullif(won + lost, 0) as win_rate,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
