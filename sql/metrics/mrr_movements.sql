with spine as (
    select unnest(month_series(day, last_day())) as month from core.mrr_start
),

months as (
    select movement, opening, change, fx, closing, month from core.mrr_months
),

sums as (
    select
        sum(opening) as opening,
        sum(case when movement = 'new' then change end) as new,
        sum(case when movement = 'expansion' then change end) as expansion,
        -sum(case when movement = 'contraction' then change end) as contraction,
        -sum(case when movement = 'churn' then change end) as churn,
        sum(case when movement = 'reactivation' then change end) as reactivation,
        sum(fx) as fx,
        sum(closing) as closing,
        count(*) filter (where opening > 0) as customers_opening,
        count(*) filter (where movement = 'new') as customers_new,
        count(*) filter (where movement = 'churn') as customers_churned,
        count(*) filter (where movement = 'reactivation') as customers_reactivated,
        count(*) filter (where closing > 0) as customers_closing,
        month,
    from months
    group by month
)

select
    spine.month,
    cast(coalesce(sums.opening, 0) as decimal(18, 2)) as opening,
    cast(coalesce(sums.new, 0) as decimal(18, 2)) as new,
    cast(coalesce(sums.expansion, 0) as decimal(18, 2)) as expansion,
    cast(coalesce(sums.contraction, 0) as decimal(18, 2)) as contraction,
    cast(coalesce(sums.churn, 0) as decimal(18, 2)) as churn,
    cast(coalesce(sums.reactivation, 0) as decimal(18, 2)) as reactivation,
    cast(coalesce(sums.fx, 0) as decimal(18, 2)) as fx,
    cast(coalesce(sums.closing, 0) as decimal(18, 2)) as closing,
    coalesce(sums.customers_opening, 0) as customers_opening,
    coalesce(sums.customers_new, 0) as customers_new,
    coalesce(sums.customers_churned, 0) as customers_churned,
    coalesce(sums.customers_reactivated, 0) as customers_reactivated,
    coalesce(sums.customers_closing, 0) as customers_closing,
    spine.month < local_month(setting('reporting.as_of')) as is_complete,
from spine
left join sums on sums.month = spine.month
