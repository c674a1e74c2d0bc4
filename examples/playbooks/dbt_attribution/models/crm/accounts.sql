with sessions as (
    select customer_id, started_at from playbook.sessions
),

conversions as (
    select customer_id, converted_at from playbook.customer_conversions
),

seen as (
    select customer_id, started_at as seen_at from sessions
    union all
    select customer_id, converted_at as seen_at from conversions
),

final as (
    select
        cast(customer_id as varchar) as account_id,
        concat('customer ', customer_id) as name,
        false as is_deleted,
        min(seen_at) as created_at,
    from seen
    group by customer_id
)

select account_id, name, is_deleted, created_at from final
