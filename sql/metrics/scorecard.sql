with figures as (
    select cadence, metric, value, is_complete, period from metrics.scorecard_values
),

-- A target of a segment is that of the metric of this segment alone.
targets as (
    select
        metric || coalesce(':' || segment, '') as metric,
        coalesce(max(target) filter (where segment is null), max(target)) as target,
        month_of(month) as month,
    from finance.targets
    group by metric || coalesce(':' || segment, ''), month_of(month)
),

registry as (
    select metric, direction, owner, action_plan, target, coalesce(threshold, 0) as threshold
    from meta.metrics
),

with_previous as (
    select
        cadence,
        metric,
        value,
        case
            when
                lag(period) over of_metric = case cadence
                    when 'weekly' then cast(period - interval '7 days' as date)
                    when 'monthly' then add_months(period, -1)
                    when 'quarterly' then add_months(period, -3)
                end
                then lag(value) over of_metric
        end as previous,
        is_complete,
        period,
    from figures
    window of_metric as (partition by cadence, metric order by period)
),

with_target as (
    select
        figures.cadence,
        figures.metric,
        registry.direction,
        registry.owner,
        registry.action_plan,
        figures.value,
        figures.previous,
        coalesce(
            targets.target,
            case when registry.metric = figures.metric then registry.target end
        ) as target,
        registry.threshold,
        figures.is_complete,
        figures.period,
    from with_previous as figures
    left join registry on registry.metric = split_part(figures.metric, ':', 1)
    left join targets
        on targets.metric = figures.metric and targets.month = month_of(figures.period)
),

final as (
    select
        cadence,
        period,
        metric,
        value,
        previous,
        target,
        -- How far it is on the wrong side; the last digits of a double are no miss.
        round(
            case direction when 'up' then target - value when 'down' then value - target end, 9
        ) as miss,
        threshold,
        owner,
        action_plan,
        is_complete,
    from with_target
)

select
    cadence,
    period,
    metric,
    value,
    previous,
    target,
    case
        when miss > threshold then 'off_target'
        when miss <= threshold then 'on_target'
        else 'no_target'
    end as status,
    owner,
    action_plan,
    is_complete,
from final
