with leads as (
    select created_at, first_response_at from core.lead_identity where is_live
),

unbilled as (
    select won_amount, first_won_at from core.won_and_billed where issue = 'won_not_billed'
),

customers as (
    select customer_id from billing.customers
),

rates as (
    select currency, rate, day from core.fx_days
),

invoices as (
    select customer_id, currency, total, issued_at, due_at
    from billing.invoices
    where
        status = 'open'
        and issued_at < setting('reporting.as_of')
        and days_between(due_at, setting('reporting.as_of')) >= setting('quality.overdue_days')
),

payments as (
    select payment_id, customer_id, invoice_id, status, currency, amount, paid_at
    from billing.payments
    where
        status in ('failed', 'succeeded')
        and invoice_id is not null
        and paid_at < setting('reporting.as_of')
),

contractions as (
    select entity_id, change, month from core.mrr_months where movement = 'contraction'
),

deals as (
    select account_id, created_at, closed_at
    from core.opportunities
    where opportunity_type in ('expansion', 'renewal') and account_id is not null
),

months_of_deals as (
    select
        account_id,
        unnest(make_array(local_month(created_at), local_month(closed_at))) as month,
    from deals
),

payments_by_invoice as (
    select
        max(paid_at) filter (where status = 'failed') as failed_at,
        max(paid_at) filter (where status = 'succeeded') as succeeded_at,
        last_value(payments.currency order by paid_at, payment_id)
            filter (where status = 'failed') as currency,
        last_value(amount order by paid_at, payment_id)
            filter (where status = 'failed') as amount,
    from payments
    inner join customers on customers.customer_id = payments.customer_id
    group by invoice_id
),

leads_not_followed_up as (
    select
        'lead_not_followed_up' as leak,
        setting('reporting.currency') as currency,
        cast(0 as decimal(18, 2)) as amount,
        local_day(created_at) as day_of_rate,
        local_month(created_at) as month,
    from leads
    where
        days_between(created_at, first_response_at) > setting('quality.follow_up_hours') / 24.0
        or (
            first_response_at is null
            and days_between(created_at, setting('reporting.as_of'))
                >= setting('quality.follow_up_hours') / 24.0
        )
),

won_not_billed as (
    select
        'won_not_billed' as leak,
        setting('reporting.currency') as currency,
        won_amount as amount,
        local_day(first_won_at) as day_of_rate,
        local_month(first_won_at) as month,
    from unbilled
),

invoices_overdue as (
    select
        'invoice_overdue' as leak,
        invoices.currency,
        invoices.total as amount,
        local_day(invoices.issued_at) as day_of_rate,
        local_month(invoices.due_at) as month,
    from invoices
    inner join customers on customers.customer_id = invoices.customer_id
),

payments_not_recovered as (
    select
        'payment_failed_not_recovered' as leak,
        currency,
        amount,
        local_day(failed_at) as day_of_rate,
        local_month(failed_at) as month,
    from payments_by_invoice
    where failed_at is not null and (succeeded_at is null or succeeded_at <= failed_at)
),

contractions_alone as (
    select
        'contraction_without_opportunity' as leak,
        setting('reporting.currency') as currency,
        -contractions.change as amount,
        contractions.month as day_of_rate,
        contractions.month,
    from contractions
    left anti join months_of_deals
        on
            months_of_deals.account_id = contractions.entity_id
            and months_of_deals.month = contractions.month
),

leaks as (
    select leak, currency, amount, day_of_rate, month from leads_not_followed_up
    union all
    select leak, currency, amount, day_of_rate, month from won_not_billed
    union all
    select leak, currency, amount, day_of_rate, month from invoices_overdue
    union all
    select leak, currency, amount, day_of_rate, month from payments_not_recovered
    union all
    select leak, currency, amount, day_of_rate, month from contractions_alone
),

leaks_valued as (
    select
        leaks.leak,
        coalesce(
            case
                when leaks.currency = setting('reporting.currency') then leaks.amount
                else cast(leaks.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        leaks.month,
    from leaks
    left join rates on rates.currency = leaks.currency and rates.day = leaks.day_of_rate
),

sums as (
    select leak, count(*) as records, sum(cast(amount as decimal(18, 2))) as amount, month
    from leaks_valued
    group by leak, month
),

neighbours as (
    select
        leak,
        records,
        amount,
        month as month_of_sums,
        case
            when lag(month) over (partition by leak order by month) is null
                then min(month) over ()
            else month
        end as from_month,
        coalesce(
            add_months(lead(month) over (partition by leak order by month), -1),
            month_of(last_day())
        ) as to_month,
    from sums
),

-- Every leak has every month of the spine; the sums belong to their own month only.
filled as (
    select
        leak,
        records,
        amount,
        month_of_sums,
        unnest(month_series(from_month, to_month)) as month,
    from neighbours
)

select
    month,
    leak,
    case when month = month_of_sums then records else 0 end as records,
    cast(case when month = month_of_sums then amount else 0 end as decimal(18, 2)) as amount,
    month < local_month(setting('reporting.as_of')) as is_complete,
from filled
