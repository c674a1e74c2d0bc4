with periods as (
    select customer_id, start_date from playbook.subscription_periods
),

final as (
    select
        cast(customer_id as varchar) as customer_id,
        false as is_deleted,
        cast(min(start_date) as timestamp) as created_at,
    from periods
    group by customer_id
)

select customer_id, is_deleted, created_at from final
