with recurring as (
    select month, arpa from metrics.arpa
),

churn as (
    select month, gross_churn_rate from metrics.nrr
),

acquisition as (
    select month, cac from metrics.cac
),

margins as (
    select
        month_of(month) as month,
        last_value(gross_margin order by month) as gross_margin,
    from finance.gross_margin
    group by month_of(month)
),

months as (
    select
        coalesce(recurring.month, acquisition.month) as month,
        recurring.arpa,
        churn.gross_churn_rate,
        acquisition.cac,
    from recurring
    inner join churn on churn.month = recurring.month
    full join acquisition on acquisition.month = recurring.month
),

with_margin as (
    select
        months.month,
        months.arpa,
        coalesce(margins.gross_margin, setting('unit_economics.gross_margin')) as gross_margin,
        months.gross_churn_rate,
        months.cac,
    from months
    left join margins on margins.month = months.month
),

final as (
    select
        month,
        arpa,
        gross_margin,
        gross_churn_rate,
        arpa * gross_margin / nullif(gross_churn_rate, 0) as ltv,
        cac,
        cac / nullif(arpa * gross_margin, 0) as payback_months,
    from with_margin
)

select
    month,
    arpa,
    gross_margin,
    gross_churn_rate,
    ltv,
    cac,
    ltv / nullif(cac, 0) as ltv_to_cac,
    payback_months,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
