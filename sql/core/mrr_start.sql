with customers as (
    select customer_id from billing.customers
),

subscriptions as (
    select subscription_id, customer_id from billing.subscriptions
),

items as (
    select subscription_id, effective_from from billing.subscription_items
)

select min(items.effective_from) as day
from items
inner join subscriptions on subscriptions.subscription_id = items.subscription_id
inner join customers on customers.customer_id = subscriptions.customer_id
