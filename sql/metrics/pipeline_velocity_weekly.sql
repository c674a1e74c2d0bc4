with deals as (
    select
        won_amount,
        days_to_close,
        is_won,
        is_closed,
        created_week,
        closed_week,
        -- A deal without a closing instant that is closed all the same was never open.
        not is_closed or closed_week is not null as is_in_pipeline,
    from core.opportunity_values
),

-- A row for the creation of each deal and one for its closing.
ends as (
    select
        won_amount,
        days_to_close,
        is_won,
        is_closed,
        is_in_pipeline,
        created_week,
        closed_week,
        unnest(make_array(true, false)) as is_creation,
    from deals
),

facts as (
    select
        case when not is_creation and is_won then won_amount end as won_amount,
        case when not is_creation and is_won then days_to_close end as cycle_days,
        case when not is_creation then days_to_close end as days_to_close,
        case when is_creation then 1 else 0 end as created,
        case when not is_creation and is_won then 1 else 0 end as won,
        case when not is_creation and not is_won then 1 else 0 end as lost,
        case
            when not is_in_pipeline or closed_week <= created_week then 0
            when is_creation then 1
            else -1
        end as open_change,
        case when is_creation then created_week else closed_week end as week,
    from ends
    where is_creation or closed_week is not null
),

sums as (
    select
        sum(won_amount) as won_amount,
        avg(cycle_days) as avg_cycle_days,
        avg(days_to_close) as avg_days_to_close,
        sum(created) as created,
        sum(won) as won,
        sum(lost) as lost,
        sum(open_change) as open_change,
        week,
    from facts
    group by week
),

running as (
    select
        won_amount,
        avg_cycle_days,
        avg_days_to_close,
        created,
        won,
        lost,
        sum(open_change) over (order by week rows unbounded preceding) as open_at_end,
        open_change,
        week,
    from sums
),

-- Every week of the spine has a row; the sums belong to their own week only.
filled as (
    select
        won_amount,
        avg_cycle_days,
        avg_days_to_close,
        created,
        won,
        lost,
        open_at_end,
        open_change,
        week as week_of_sums,
        unnest(week_series(
            week,
            coalesce(
                cast(lead(week) over (order by week) - interval '7 days' as date),
                last_day()
            )
        )) as week,
    from running
),

final as (
    select
        week,
        case
            when week = week_of_sums then open_at_end - open_change else open_at_end
        end as open_at_start,
        case when week = week_of_sums then created else 0 end as created,
        case when week = week_of_sums then won else 0 end as won,
        case when week = week_of_sums then lost else 0 end as lost,
        case when week = week_of_sums then cast(won_amount as double) end as won_amount,
        case when week = week_of_sums then avg_cycle_days end as avg_cycle_days,
        case when week = week_of_sums then avg_days_to_close end as avg_days_to_close,
    from filled
)

select
    week,
    open_at_start,
    created,
    won,
    lost,
    cast(won as double) / nullif(won + lost, 0) as win_rate,
    won_amount / nullif(won, 0) as avg_won_amount,
    avg_cycle_days,
    avg_days_to_close,
    (open_at_start + created)
        * (cast(won as double) / nullif(won + lost, 0))
        * (won_amount / nullif(won, 0))
        / nullif(avg_cycle_days, 0) as velocity_per_day,
    week < local_week(setting('reporting.as_of')) as is_complete,
from final
