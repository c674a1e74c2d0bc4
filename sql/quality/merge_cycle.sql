with accounts as (
    select account_id, merged_into_id from core.account_identity where is_in_cycle
),

contacts as (
    select contact_id, merged_into_id from core.contact_identity where is_in_cycle
),

leads as (
    select lead_id, merged_into_id from core.lead_identity where is_in_cycle
),

customers as (
    select customer_id, merged_into_id from core.customer_identity where is_in_cycle
),

final as (
    select 'crm.accounts' as table_name, account_id as record_id, merged_into_id from accounts
    union all
    select 'crm.contacts' as table_name, contact_id as record_id, merged_into_id from contacts
    union all
    select 'crm.leads' as table_name, lead_id as record_id, merged_into_id from leads
    union all
    select 'billing.customers' as table_name, customer_id as record_id, merged_into_id
    from customers
)

select
    table_name,
    record_id,
    'merged_into_id' as column_name,
    case
        when merged_into_id = record_id then 'merged into itself'
        else concat('merged into ', merged_into_id, ', which leads back to it')
    end as details,
from final
