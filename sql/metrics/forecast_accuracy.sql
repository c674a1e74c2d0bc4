with sums as (
    select
        sum(forecast) as forecast,
        sum(weighted_forecast) as weighted_forecast,
        sum(actual) as actual,
        month,
    from core.opportunity_forecasts
    group by month
),

-- Every month of the spine has a row; the sums belong to their own month only.
filled as (
    select
        forecast,
        weighted_forecast,
        actual,
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
        case when month = month_of_sums then forecast else 0 end as forecast,
        case when month = month_of_sums then weighted_forecast else 0 end as weighted_forecast,
        case when month = month_of_sums then actual else 0 end as actual,
    from filled
)

select
    month,
    cast(forecast as decimal(18, 2)) as forecast,
    cast(weighted_forecast as decimal(18, 2)) as weighted_forecast,
    cast(actual as decimal(18, 2)) as actual,
    1 - cast(abs(actual - forecast) as double) / nullif(cast(actual as double), 0) as accuracy,
    cast(abs(actual - forecast) as double) / nullif(cast(forecast as double), 0)
        as error_of_forecast,
    cast(forecast - actual as double) / nullif(cast(actual as double), 0) as bias,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
