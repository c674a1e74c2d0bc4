with periods as (
    select subscription_id, monthly_amount, start_date, end_date from playbook.subscription_periods
),

final as (
    select
        cast(subscription_id as varchar) as item_id,
        cast(subscription_id as varchar) as subscription_id,
        'subscription' as product,
        setting('reporting.currency') as currency,
        'month' as "interval",
        1 as quantity,
        monthly_amount as unit_amount,
        1 as interval_count,
        start_date as effective_from,
        end_date as effective_to,
    from periods
)

select
    item_id,
    subscription_id,
    product,
    currency,
    "interval",
    quantity,
    unit_amount,
    interval_count,
    effective_from,
    effective_to,
from final
