with entered as (
    select stage, position, is_won, closed_week as week
    from core.opportunity_stages
    where closed_week is not null
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
        week,
    from entered
    union all
    select stage, position, 0 as won, 0 as lost, cast(null as date) as week from open_stages
),

sums as (
    select stage, position, sum(won) as won, sum(lost) as lost, week
    from facts
    group by stage, position, week
),

from_first_week as (
    select stage, position, won, lost, coalesce(week, min(week) over ()) as week from sums
),

once as (
    select stage, position, sum(won) as won, sum(lost) as lost, week
    from from_first_week
    group by stage, position, week
),

-- Every stage has every week of the spine; the sums belong to their own week only.
neighbours as (
    select
        stage,
        position,
        won,
        lost,
        week as week_of_sums,
        case
            when lag(week) over (partition by stage order by week) is null then min(week) over ()
            else week
        end as from_week,
        coalesce(
            cast(lead(week) over (partition by stage order by week) - interval '7 days' as date),
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
        week_of_sums,
        unnest(week_series(from_week, to_day)) as week,
    from neighbours
),

final as (
    select
        week,
        stage,
        position,
        case when week = week_of_sums then won else 0 end as won,
        case when week = week_of_sums then lost else 0 end as lost,
    from filled
)

select
    week,
    stage,
    position,
    won + lost as entered,
    won,
    lost,
    cast(won as double) / nullif(won + lost, 0) as win_rate,
    week < local_week(setting('reporting.as_of')) as is_complete,
from final
