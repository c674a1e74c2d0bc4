with accounts as (
    select account_id, first_touch_at, first_payment_at
    from metrics.time_to_revenue
    where first_payment_at < first_touch_at
)

select
    'crm.accounts' as table_name,
    account_id as record_id,
    cast(null as varchar) as column_name,
    concat(
        'paid first at ',
        cast(first_payment_at as varchar),
        ', touched first at ',
        cast(first_touch_at as varchar)
    ) as details,
from accounts
