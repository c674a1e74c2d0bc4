with conversions as (
    select
        account_id,
        value,
        closed_at,
        min(closed_at) over (partition by account_id) as first_won_at,
    from core.conversions
    where account_id is not null
),

customers as (
    select customer_id, entity_id from core.customer_identity
),

rates as (
    select currency, rate, day from core.fx_days
),

invoices as (
    select customer_id, currency, subtotal, issued_at
    from billing.invoices
    where status not in ('draft', 'void') and issued_at < setting('reporting.as_of')
),

invoices_valued as (
    select
        customers.entity_id as account_id,
        coalesce(
            case
                when invoices.currency = setting('reporting.currency') then invoices.subtotal
                else cast(invoices.subtotal * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        invoices.issued_at,
        min(invoices.issued_at) over (partition by customers.entity_id) as first_invoiced_at,
    from invoices
    inner join customers on customers.customer_id = invoices.customer_id
    left join rates
        on rates.currency = invoices.currency and rates.day = local_day(invoices.issued_at)
),

facts as (
    select
        account_id,
        case
            when days_between(first_won_at, closed_at) < setting('quality.reconciliation_days')
                then value
        end as won_amount,
        cast(null as decimal(18, 2)) as billed_amount,
        first_won_at,
        cast(null as timestamp(6) with time zone) as first_invoiced_at,
    from conversions
    union all
    select
        account_id,
        cast(null as decimal(18, 2)) as won_amount,
        case
            when days_between(first_invoiced_at, issued_at) < setting('quality.reconciliation_days')
                then cast(amount as decimal(18, 2))
        end as billed_amount,
        cast(null as timestamp(6) with time zone) as first_won_at,
        first_invoiced_at,
    from invoices_valued
),

sums as (
    select
        account_id,
        cast(coalesce(sum(won_amount), 0) as decimal(18, 2)) as won_amount,
        cast(coalesce(sum(billed_amount), 0) as decimal(18, 2)) as billed_amount,
        min(first_won_at) as first_won_at,
        min(first_invoiced_at) as first_invoiced_at,
    from facts
    group by account_id
),

final as (
    select
        account_id,
        case
            when first_won_at is null then 'billed_not_in_crm'
            when
                first_invoiced_at is null
                and days_between(first_won_at, setting('reporting.as_of'))
                    < setting('quality.billing_grace_days')
                then 'pending'
            when first_invoiced_at is null then 'won_not_billed'
            when
                days_between(first_invoiced_at, setting('reporting.as_of'))
                    < setting('quality.reconciliation_days')
                then 'in_progress'
            when
                abs(billed_amount - won_amount)
                    > won_amount * cast(setting('quality.mismatch_share') as decimal(9, 8))
                then 'amount_mismatch'
            else 'matched'
        end as issue,
        won_amount,
        billed_amount,
        first_won_at,
        first_invoiced_at,
    from sums
)

select account_id, issue, won_amount, billed_amount, first_won_at, first_invoiced_at from final
