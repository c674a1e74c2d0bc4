with customers as (
    select customer_id from billing.customers
),

facts as (
    select 'billing.subscriptions' as table_name, subscription_id as record_id, customer_id
    from billing.subscriptions
    union all
    select 'billing.invoices' as table_name, invoice_id as record_id, customer_id
    from billing.invoices
    where issued_at < setting('reporting.as_of')
    union all
    select 'billing.payments' as table_name, payment_id as record_id, customer_id
    from billing.payments
    where paid_at < setting('reporting.as_of')
)

select
    facts.table_name,
    facts.record_id,
    'customer_id' as column_name,
    concat('customer ', facts.customer_id, ' is unknown: the row is left out') as details,
from facts
left anti join customers on customers.customer_id = facts.customer_id
