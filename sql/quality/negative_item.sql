with customers as (
    select customer_id from billing.customers
),

subscriptions as (
    select subscription_id, customer_id from billing.subscriptions
),

items as (
    select
        item_id,
        subscription_id,
        currency,
        item_mrr(unit_amount, quantity, discount_pct, "interval", interval_count) as amount,
    from billing.subscription_items
    where effective_from <= last_day()
)

select
    'billing.subscription_items' as table_name,
    items.item_id as record_id,
    cast(null as varchar) as column_name,
    concat(
        'worth ',
        cast(items.amount as varchar),
        ' ',
        items.currency,
        ' a month: it counts as 0'
    ) as details,
from items
inner join subscriptions on subscriptions.subscription_id = items.subscription_id
inner join customers on customers.customer_id = subscriptions.customer_id
where items.amount < 0
