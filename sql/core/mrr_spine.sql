with customers as (
    select customer_id from billing.customers
),

subscriptions as (
    select subscription_id, customer_id from billing.subscriptions
),

items as (
    select subscription_id, effective_from from billing.subscription_items
),

first_day as (
    select min(items.effective_from) as day
    from items
    inner join subscriptions on subscriptions.subscription_id = items.subscription_id
    inner join customers on customers.customer_id = subscriptions.customer_id
)

select unnest(month_series(month_of(day), month_of(last_day()))) as month from first_day
