with weekly as (
    select 'new_pipeline' as metric, cast(amount as double) as value, week as period
    from metrics.pipeline_created_weekly
    union all
    select
        unnest(make_array('pipeline_velocity_days', 'win_rate')) as metric,
        unnest(make_array(avg_days_to_close, win_rate)) as value,
        week as period,
    from metrics.pipeline_velocity_weekly
    union all
    select 'win_rate:' || stage as metric, win_rate as value, week as period
    from metrics.win_rate_by_stage_weekly
    union all
    select
        unnest(make_array('expansion_revenue', 'gross_churn_rate')) as metric,
        unnest(make_array(
            cast(expansion as double),
            cast(churn + contraction as double) / nullif(cast(opening + fx as double), 0)
        )) as value,
        week as period,
    from metrics.mrr_movements_weekly
),

-- Each number of a month, with how a quarter follows from its months and the parts summed for that.
monthly as (
    select
        'new_pipeline' as metric,
        'sum' as over_quarter,
        cast(amount as double) as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.pipeline_created
    union all
    select
        unnest(make_array('pipeline_velocity_days', 'win_rate')) as metric,
        unnest(make_array('facts', 'ratio')) as over_quarter,
        unnest(make_array(avg_days_to_close, win_rate)) as value,
        cast(won as double) as numerator,
        cast(won + lost as double) as denominator,
        month,
    from metrics.pipeline_velocity
    union all
    select
        'win_rate:' || stage as metric,
        'ratio' as over_quarter,
        win_rate as value,
        cast(won as double) as numerator,
        cast(won + lost as double) as denominator,
        month,
    from metrics.win_rate_by_stage
    union all
    select
        unnest(make_array('expansion_revenue', 'gross_churn_rate', 'nrr_12m', 'grr_12m')) as metric,
        unnest(make_array('sum', 'compound', 'last', 'last')) as over_quarter,
        unnest(make_array(
            cast(expansion as double), gross_churn_rate, nrr_12m, grr_12m
        )) as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.nrr
    union all
    select
        'cac' as metric,
        'ratio' as over_quarter,
        cac as value,
        cast(acquisition_cost as double) as numerator,
        cast(new_customers as double) as denominator,
        month,
    from metrics.cac
    union all
    select
        'cac:' || channel as metric,
        'ratio' as over_quarter,
        cac as value,
        cast(acquisition_cost as double) as numerator,
        new_customers as denominator,
        month,
    from metrics.cac_by_channel
    where model = setting('cac.model')
    union all
    select
        'arpa' as metric,
        'last' as over_quarter,
        arpa as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.arpa
    union all
    select
        'revenue_per_employee' as metric,
        'last' as over_quarter,
        revenue_per_employee as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.revenue_per_employee
    union all
    select
        'ltv_to_cac' as metric,
        'last' as over_quarter,
        ltv_to_cac as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.ltv_cac
    union all
    select
        'time_to_revenue_days' as metric,
        'facts' as over_quarter,
        median_days as value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        month,
    from metrics.time_to_revenue_monthly
    where channel = '(all)'
    union all
    select
        'pipeline_conversion' as metric,
        'ratio' as over_quarter,
        conversion_rate as value,
        cast(won_amount as double) as numerator,
        cast(pipeline_amount as double) as denominator,
        cohort_month as month,
    from metrics.pipeline_conversion
    union all
    select
        'forecast_accuracy' as metric,
        'accuracy' as over_quarter,
        accuracy as value,
        cast(forecast as double) as numerator,
        cast(actual as double) as denominator,
        month,
    from metrics.forecast_accuracy
),

quarter_sums as (
    select
        metric,
        over_quarter,
        sum(value) as total,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        exp(sum(ln(1 - value)) filter (where over_quarter = 'compound')) as kept,
        last_value(value order by month) as last_value,
        quarter_of(month) as period,
    from monthly
    where over_quarter <> 'facts'
    group by metric, over_quarter, quarter_of(month)
),

quarterly as (
    select
        metric,
        case over_quarter
            when 'sum' then total
            when 'ratio' then numerator / nullif(denominator, 0)
            when 'compound' then 1 - kept
            when 'last' then last_value
            when 'accuracy'
                then 1 - abs(denominator - numerator) / nullif(denominator, 0)
        end as value,
        period,
    from quarter_sums
    union all
    select
        'pipeline_velocity_days' as metric,
        avg(days_to_close) as value,
        quarter_of(closed_month) as period,
    from core.opportunity_values
    where closed_month is not null
    group by quarter_of(closed_month)
    union all
    select
        'time_to_revenue_days' as metric,
        exact_percentile(days_to_revenue, 0.5) as value,
        quarter_of(local_month(first_payment_at)) as period,
    from metrics.time_to_revenue
    where days_to_revenue is not null
    group by quarter_of(local_month(first_payment_at))
),

final as (
    select
        'weekly' as cadence,
        metric,
        value,
        period < local_week(setting('reporting.as_of')) as is_complete,
        period,
    from weekly
    union all
    select
        'monthly' as cadence,
        metric,
        value,
        month < local_month(setting('reporting.as_of')) as is_complete,
        month as period,
    from monthly
    union all
    select
        'quarterly' as cadence,
        metric,
        value,
        period < quarter_of(local_day(setting('reporting.as_of'))) as is_complete,
        period,
    from quarterly
)

select cadence, period, metric, value, is_complete from final
