with spine as (
    select month from core.mrr_spine
),

months as (
    select
        movement,
        opening,
        -- What the opening is worth at this month's rates.
        closing - change as opening_now,
        change,
        closing,
        year_before,
        year_before_now,
        month,
    from core.mrr_months
),

sums as (
    select
        sum(case when opening > 0 then opening_now end) as opening,
        sum(case when opening > 0 then closing end) as kept,
        sum(case when movement = 'expansion' then change end) as expansion,
        -sum(case when movement = 'contraction' then change end) as contraction,
        -sum(case when movement = 'churn' then change end) as churn,
        sum(case when year_before > 0 then year_before_now end) as year_before,
        sum(case when year_before > 0 then closing end) as year_kept,
        sum(case when year_before > 0 then least(closing, year_before_now) end) as year_kept_capped,
        count(*) filter (where opening > 0) as customers_opening,
        count(*) filter (where movement = 'churn') as customers_churned,
        month,
    from months
    group by month
),

final as (
    select
        spine.month,
        cast(coalesce(sums.opening, 0) as decimal(18, 2)) as opening,
        cast(coalesce(sums.kept, 0) as decimal(18, 2)) as kept,
        cast(coalesce(sums.expansion, 0) as decimal(18, 2)) as expansion,
        cast(coalesce(sums.contraction, 0) as decimal(18, 2)) as contraction,
        cast(coalesce(sums.churn, 0) as decimal(18, 2)) as churn,
        sums.year_before,
        sums.year_kept,
        sums.year_kept_capped,
        sums.customers_opening,
        sums.customers_churned,
    from spine
    left join sums on sums.month = spine.month
)

select
    month,
    opening,
    expansion,
    contraction,
    churn,
    cast(kept as double) / nullif(cast(opening as double), 0) as nrr,
    cast(opening - contraction - churn as double) / nullif(cast(opening as double), 0) as grr,
    cast(customers_churned as double) / nullif(customers_opening, 0) as logo_churn_rate,
    cast(churn + contraction as double) / nullif(cast(opening as double), 0) as gross_churn_rate,
    cast(year_kept as double) / nullif(cast(year_before as double), 0) as nrr_12m,
    cast(year_kept_capped as double) / nullif(cast(year_before as double), 0) as grr_12m,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
