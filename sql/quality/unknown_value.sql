with deals as (
    select opportunity_id, type, forecast_category, probability
    from crm.opportunities
    where not is_deleted and created_at < setting('reporting.as_of')
),

items as (
    select item_id, "interval", interval_count, discount_pct from billing.subscription_items
),

invoices as (
    select invoice_id, status from billing.invoices where issued_at < setting('reporting.as_of')
),

payments as (
    select payment_id, status from billing.payments where paid_at < setting('reporting.as_of')
),

costs as (
    select month, department, category, channel, currency
    from finance.costs
    where month_of(month) <= last_day()
),

margins as (
    select month, gross_margin from finance.gross_margin
),

final as (
    select
        'crm.opportunities' as table_name,
        opportunity_id as record_id,
        'type' as column_name,
        type as found,
        'new, expansion or renewal' as expected,
    from deals
    where type not in ('new', 'expansion', 'renewal')
    union all
    select
        'crm.opportunities' as table_name,
        opportunity_id as record_id,
        'forecast_category' as column_name,
        forecast_category as found,
        'pipeline, best_case, commit, omitted or closed' as expected,
    from deals
    where forecast_category not in ('pipeline', 'best_case', 'commit', 'omitted', 'closed')
    union all
    select
        'crm.opportunities' as table_name,
        opportunity_id as record_id,
        'probability' as column_name,
        cast(probability as varchar) as found,
        '0 to 1' as expected,
    from deals
    where probability not between 0 and 1
    union all
    select
        'billing.subscription_items' as table_name,
        item_id as record_id,
        'interval' as column_name,
        "interval" as found,
        'day, week, month or year' as expected,
    from items
    where "interval" not in ('day', 'week', 'month', 'year')
    union all
    select
        'billing.subscription_items' as table_name,
        item_id as record_id,
        'interval_count' as column_name,
        cast(interval_count as varchar) as found,
        'a number above 0' as expected,
    from items
    where interval_count <= 0
    union all
    select
        'billing.subscription_items' as table_name,
        item_id as record_id,
        'discount_pct' as column_name,
        cast(discount_pct as varchar) as found,
        '0 to 100' as expected,
    from items
    where discount_pct not between 0 and 100
    union all
    select
        'billing.invoices' as table_name,
        invoice_id as record_id,
        'status' as column_name,
        status as found,
        'draft, open, paid, void or uncollectible' as expected,
    from invoices
    where status not in ('draft', 'open', 'paid', 'void', 'uncollectible')
    union all
    select
        'billing.payments' as table_name,
        payment_id as record_id,
        'status' as column_name,
        status as found,
        'succeeded, pending or failed' as expected,
    from payments
    where status not in ('succeeded', 'pending', 'failed')
    union all
    select
        'finance.costs' as table_name,
        concat_ws(
            ', ', cast(month as varchar), department, category, channel, currency
        ) as record_id,
        'department' as column_name,
        department as found,
        'sales or marketing' as expected,
    from costs
    where department not in ('sales', 'marketing')
    union all
    select
        'finance.gross_margin' as table_name,
        cast(month as varchar) as record_id,
        'gross_margin' as column_name,
        cast(gross_margin as varchar) as found,
        '0 to 1' as expected,
    from margins
    where gross_margin not between 0 and 1
)

select
    table_name,
    record_id,
    column_name,
    concat('expected ', expected, ', found ', found) as details,
from final
