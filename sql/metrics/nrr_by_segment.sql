with spine as (
    select min(month) as first_month from core.mrr_spine
),

accounts as (
    select account_id, segment from crm.accounts
),

months as (
    select
        entity_id,
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
    where opening > 0 or closing > 0 or year_before > 0
),

sums as (
    select
        coalesce(accounts.segment, '(none)') as segment,
        sum(case when months.opening > 0 then months.opening_now end) as opening,
        sum(case when months.opening > 0 then months.closing end) as kept,
        sum(case when months.movement = 'expansion' then months.change end) as expansion,
        -sum(case when months.movement = 'contraction' then months.change end) as contraction,
        -sum(case when months.movement = 'churn' then months.change end) as churn,
        sum(case when months.year_before > 0 then months.year_before_now end) as year_before,
        sum(case when months.year_before > 0 then months.closing end) as year_kept,
        sum(
            case when months.year_before > 0 then least(months.closing, months.year_before_now) end
        ) as year_kept_capped,
        count(*) filter (where months.opening > 0) as customers_opening,
        count(*) filter (where months.movement = 'churn') as customers_churned,
        months.month,
    from months
    left join accounts on accounts.account_id = months.entity_id
    group by coalesce(accounts.segment, '(none)'), months.month
),

neighbours as (
    select
        sums.segment,
        sums.opening,
        sums.kept,
        sums.expansion,
        sums.contraction,
        sums.churn,
        sums.year_before,
        sums.year_kept,
        sums.year_kept_capped,
        sums.customers_opening,
        sums.customers_churned,
        sums.month as month_of_sums,
        case
            when lag(sums.month) over (partition by sums.segment order by sums.month) is null
                then spine.first_month
            else sums.month
        end as from_month,
        coalesce(
            add_months(lead(sums.month) over (partition by sums.segment order by sums.month), -1),
            month_of(last_day())
        ) as to_month,
    from sums
    cross join spine
),

-- Every segment has every month of the spine; the sums belong to their own month only.
filled as (
    select
        segment,
        opening,
        kept,
        expansion,
        contraction,
        churn,
        year_before,
        year_kept,
        year_kept_capped,
        customers_opening,
        customers_churned,
        month_of_sums,
        unnest(month_series(from_month, to_month)) as month,
    from neighbours
),

final as (
    select
        month,
        segment,
        cast(
            coalesce(case when month = month_of_sums then opening end, 0) as decimal(18, 2)
        ) as opening,
        cast(
            coalesce(case when month = month_of_sums then kept end, 0) as decimal(18, 2)
        ) as kept,
        cast(
            coalesce(case when month = month_of_sums then expansion end, 0) as decimal(18, 2)
        ) as expansion,
        cast(
            coalesce(case when month = month_of_sums then contraction end, 0) as decimal(18, 2)
        ) as contraction,
        cast(
            coalesce(case when month = month_of_sums then churn end, 0) as decimal(18, 2)
        ) as churn,
        case when month = month_of_sums then year_before end as year_before,
        case when month = month_of_sums then year_kept end as year_kept,
        case when month = month_of_sums then year_kept_capped end as year_kept_capped,
        case when month = month_of_sums then customers_opening end as customers_opening,
        case when month = month_of_sums then customers_churned end as customers_churned,
    from filled
)

select
    month,
    segment,
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
