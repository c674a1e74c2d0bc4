with leads as (
    select lead_id, created_at, first_response_at, qualified_at, converted_at
    from crm.leads
    where not is_deleted and created_at < setting('reporting.as_of')
),

deals as (
    select opportunity_id, created_at, closed_at
    from crm.opportunities
    where not is_deleted and created_at < setting('reporting.as_of')
),

subscriptions as (
    select subscription_id, started_at, trial_ends_at, canceled_at, ended_at
    from billing.subscriptions
),

items as (
    select item_id, effective_from, effective_to from billing.subscription_items
),

invoices as (
    select invoice_id, issued_at, due_at, paid_at
    from billing.invoices
    where issued_at < setting('reporting.as_of')
),

refunds as (
    select refund_id, payment_id, refunded_at
    from billing.refunds
    where refunded_at < setting('reporting.as_of')
),

payments as (
    select payment_id, paid_at from billing.payments
),

campaigns as (
    select campaign_id, start_date, end_date from campaign.campaigns
),

pairs as (
    select
        'crm.leads' as table_name,
        lead_id as record_id,
        'created_at' as start_column,
        created_at as started_at,
        unnest(make_array(
            named_struct('name', 'first_response_at', 'at', first_response_at),
            named_struct('name', 'qualified_at', 'at', qualified_at),
            named_struct('name', 'converted_at', 'at', converted_at)
        )) as finish,
    from leads
    union all
    select
        'crm.opportunities' as table_name,
        opportunity_id as record_id,
        'created_at' as start_column,
        created_at as started_at,
        named_struct('name', 'closed_at', 'at', closed_at) as finish,
    from deals
    union all
    select
        'billing.subscriptions' as table_name,
        subscription_id as record_id,
        'started_at' as start_column,
        started_at,
        unnest(make_array(
            named_struct('name', 'trial_ends_at', 'at', trial_ends_at),
            named_struct('name', 'canceled_at', 'at', canceled_at),
            named_struct('name', 'ended_at', 'at', ended_at)
        )) as finish,
    from subscriptions
    union all
    select
        'billing.invoices' as table_name,
        invoice_id as record_id,
        'issued_at' as start_column,
        issued_at as started_at,
        unnest(make_array(
            named_struct('name', 'due_at', 'at', due_at),
            named_struct('name', 'paid_at', 'at', paid_at)
        )) as finish,
    from invoices
    union all
    select
        'billing.refunds' as table_name,
        refunds.refund_id as record_id,
        'paid_at of its payment' as start_column,
        payments.paid_at as started_at,
        named_struct('name', 'refunded_at', 'at', refunds.refunded_at) as finish,
    from refunds
    inner join payments on payments.payment_id = refunds.payment_id
),

instants as (
    select
        table_name,
        record_id,
        start_column,
        cast(started_at as varchar) as started,
        finish['name'] as column_name,
        cast(finish['at'] as varchar) as finished,
    from pairs
    where finish['at'] < started_at
),

final as (
    select table_name, record_id, start_column, started, column_name, finished from instants
    union all
    select
        'billing.subscription_items' as table_name,
        item_id as record_id,
        'effective_from' as start_column,
        cast(effective_from as varchar) as started,
        'effective_to' as column_name,
        cast(effective_to as varchar) as finished,
    from items
    where effective_to < effective_from
    union all
    select
        'campaign.campaigns' as table_name,
        campaign_id as record_id,
        'start_date' as start_column,
        cast(start_date as varchar) as started,
        'end_date' as column_name,
        cast(end_date as varchar) as finished,
    from campaigns
    where end_date < start_date
)

select
    table_name,
    record_id,
    column_name,
    concat(finished, ' is earlier than ', start_column, ' ', started) as details,
from final
