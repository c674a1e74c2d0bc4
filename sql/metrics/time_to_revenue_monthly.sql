with paid as (
    select channel, days_to_revenue, local_month(first_payment_at) as month
    from metrics.time_to_revenue
    where days_to_revenue is not null
),

with_total as (
    select days_to_revenue, unnest(make_array(channel, '(all)')) as channel, month from paid
),

sums as (
    select
        month,
        channel,
        count(*) as customers,
        exact_percentile(days_to_revenue, 0.5) as median_days,
        exact_percentile(days_to_revenue, 0.9) as p90_days,
        avg(days_to_revenue) as mean_days,
    from with_total
    group by month, channel
),

neighbours as (
    select
        channel,
        customers,
        median_days,
        p90_days,
        mean_days,
        month as month_of_sums,
        case
            when lag(month) over (partition by channel order by month) is null
                then min(month) over ()
            else month
        end as from_month,
        coalesce(
            add_months(lead(month) over (partition by channel order by month), -1),
            month_of(last_day())
        ) as to_month,
    from sums
),

-- Every channel has every month of the spine; the sums belong to their own month only.
filled as (
    select
        channel,
        customers,
        median_days,
        p90_days,
        mean_days,
        month_of_sums,
        unnest(month_series(from_month, to_month)) as month,
    from neighbours
)

select
    month,
    channel,
    case when month = month_of_sums then customers else 0 end as customers,
    case when month = month_of_sums then median_days end as median_days,
    case when month = month_of_sums then p90_days end as p90_days,
    case when month = month_of_sums then mean_days end as mean_days,
    month < local_month(setting('reporting.as_of')) as is_complete,
from filled
