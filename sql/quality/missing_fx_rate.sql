with first_rates as (
    select currency, min(rate_date) as first_date
    from finance.fx_rates
    where rate_date <= last_day()
    group by currency
),

deals as (
    select
        opportunity_id,
        currency,
        amount as first_amount,
        case when is_won then current_amount end as won_amount,
        created_at,
        closed_at,
    from core.opportunity_states
    where is_first and currency <> setting('reporting.currency')
),

spend as (
    select spend_date, campaign_id, channel, platform, currency
    from campaign.spend
    where spend_date <= last_day() and currency <> setting('reporting.currency')
),

costs as (
    select month, department, category, channel, currency
    from finance.costs
    where month_of(month) <= last_day() and currency <> setting('reporting.currency')
),

customers as (
    select customer_id from billing.customers
),

invoices as (
    select invoice_id, customer_id, currency, issued_at
    from billing.invoices
    where
        status not in ('draft', 'void')
        and issued_at < setting('reporting.as_of')
        and currency <> setting('reporting.currency')
),

payments as (
    select payment_id, customer_id, status, currency, paid_at
    from billing.payments
    where paid_at < setting('reporting.as_of')
),

refunds as (
    select refund_id, payment_id, currency, refunded_at
    from billing.refunds
    where
        refunded_at < setting('reporting.as_of')
        and currency <> setting('reporting.currency')
),

items as (
    select
        item_id,
        currency,
        month_of(first_day) as first_month,
        coalesce(add_months(end_day, -1), month_of(last_day())) as last_month,
    from core.mrr_items
    where currency <> setting('reporting.currency')
),

-- A currency has a rate from its first one on: a row that lacks one lacks it on its earliest day.
facts as (
    select
        'crm.opportunities' as table_name,
        opportunity_id as record_id,
        currency,
        least(
            case when first_amount is not null then local_day(created_at) end,
            case when won_amount is not null then local_day(closed_at) end
        ) as day,
    from deals
    union all
    select
        'campaign.spend' as table_name,
        concat_ws(
            ', ', cast(spend_date as varchar), campaign_id, channel, platform, currency
        ) as record_id,
        currency,
        spend_date as day,
    from spend
    union all
    select
        'finance.costs' as table_name,
        concat_ws(
            ', ', cast(month as varchar), department, category, channel, currency
        ) as record_id,
        currency,
        month as day,
    from costs
    union all
    select
        'billing.invoices' as table_name,
        invoices.invoice_id as record_id,
        invoices.currency,
        local_day(invoices.issued_at) as day,
    from invoices
    inner join customers on customers.customer_id = invoices.customer_id
    union all
    select
        'billing.payments' as table_name,
        payments.payment_id as record_id,
        payments.currency,
        local_day(payments.paid_at) as day,
    from payments
    inner join customers on customers.customer_id = payments.customer_id
    where
        payments.status = 'succeeded'
        and payments.currency <> setting('reporting.currency')
    union all
    select
        'billing.refunds' as table_name,
        refunds.refund_id as record_id,
        refunds.currency,
        local_day(refunds.refunded_at) as day,
    from refunds
    inner join payments on payments.payment_id = refunds.payment_id
    inner join customers on customers.customer_id = payments.customer_id
    union all
    select
        'billing.subscription_items' as table_name,
        item_id as record_id,
        currency,
        cast(add_months(first_month, 1) - interval '1 day' as date) as day,
    from items
    where first_month <= last_month
),

final as (
    select facts.table_name, facts.record_id, facts.currency, facts.day, first_rates.first_date
    from facts
    left join first_rates on first_rates.currency = facts.currency
    where
        facts.day is not null
        and (first_rates.first_date is null or first_rates.first_date > facts.day)
)

select
    table_name,
    record_id,
    'currency' as column_name,
    concat(
        'no rate of ',
        currency,
        ' on ',
        cast(day as varchar),
        case
            when first_date is null then ': it has none'
            else concat(': its first is of ', cast(first_date as varchar))
        end
    ) as details,
from final
