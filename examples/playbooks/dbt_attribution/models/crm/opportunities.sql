with conversions as (
    select customer_id, revenue, converted_at from playbook.customer_conversions
),

final as (
    select
        cast(customer_id as varchar) as opportunity_id,
        cast(customer_id as varchar) as account_id,
        'new' as type,
        'won' as stage,
        setting('reporting.currency') as currency,
        revenue as amount,
        true as is_closed,
        true as is_won,
        false as is_deleted,
        converted_at as created_at,
        converted_at as closed_at,
    from conversions
)

select
    opportunity_id,
    account_id,
    type,
    stage,
    currency,
    amount,
    is_closed,
    is_won,
    is_deleted,
    created_at,
    closed_at,
from final
