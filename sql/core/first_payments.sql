with customers as (
    select customer_id, entity_id from core.customer_identity
),

payments as (
    select payment_id, customer_id, status, amount, currency, paid_at
    from billing.payments
    where paid_at < setting('reporting.as_of')
),

refunds as (
    select payment_id, currency, sum(amount) as amount
    from billing.refunds
    where refunded_at < setting('reporting.as_of')
    group by payment_id, currency
),

final as (
    select
        customers.entity_id,
        min(
            case
                when
                    payments.status = 'succeeded'
                    and payments.amount > 0
                    and coalesce(refunds.amount, 0) < payments.amount
                    then payments.paid_at
            end
        ) as first_payment_at,
    from payments
    inner join customers on customers.customer_id = payments.customer_id
    left join refunds
        on refunds.payment_id = payments.payment_id and refunds.currency = payments.currency
    group by customers.entity_id
)

select entity_id, first_payment_at from final
