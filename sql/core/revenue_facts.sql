with customers as (
    select customer_id from billing.customers
),

invoices as (
    select invoice_id, customer_id, currency, subtotal as amount, issued_at
    from billing.invoices
    where status not in ('draft', 'void') and issued_at < setting('reporting.as_of')
),

payments as (
    select payment_id, customer_id, status, currency, amount, paid_at
    from billing.payments
    where paid_at < setting('reporting.as_of')
),

refunds as (
    select refund_id, payment_id, currency, amount, refunded_at
    from billing.refunds
    where refunded_at < setting('reporting.as_of')
),

rates as (
    select currency, rate, day from core.fx_days
),

facts as (
    select
        'invoiced' as kind,
        invoices.invoice_id as record_id,
        invoices.customer_id,
        invoices.currency,
        invoices.amount,
        local_day(invoices.issued_at) as day,
    from invoices
    left semi join customers on customers.customer_id = invoices.customer_id
    union all
    select
        'collected' as kind,
        payments.payment_id as record_id,
        payments.customer_id,
        payments.currency,
        payments.amount,
        local_day(payments.paid_at) as day,
    from payments
    left semi join customers on customers.customer_id = payments.customer_id
    where payments.status = 'succeeded'
    union all
    select
        'refunded' as kind,
        refunds.refund_id as record_id,
        payments.customer_id,
        refunds.currency,
        refunds.amount,
        local_day(refunds.refunded_at) as day,
    from refunds
    inner join payments on payments.payment_id = refunds.payment_id
    left semi join customers on customers.customer_id = payments.customer_id
),

valued as (
    select
        facts.kind,
        facts.record_id,
        facts.customer_id,
        coalesce(
            case
                when facts.currency = setting('reporting.currency') then facts.amount
                else cast(facts.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        month_of(facts.day) as month,
    from facts
    left join rates on rates.currency = facts.currency and rates.day = facts.day
)

select kind, record_id, customer_id, cast(amount as decimal(18, 2)) as amount, month from valued
