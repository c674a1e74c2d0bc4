with periods as (
    select subscription_id, customer_id, start_date, end_date from playbook.subscription_periods
),

final as (
    select
        cast(subscription_id as varchar) as subscription_id,
        cast(customer_id as varchar) as customer_id,
        'active' as status,
        cast(start_date as timestamp) as started_at,
        cast(end_date as timestamp) as ended_at,
    from periods
)

select subscription_id, customer_id, status, started_at, ended_at from final
