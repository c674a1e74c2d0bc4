with accounts as (
    select
        account_id,
        case when lead_created_at < first_touch_at then 'touch to lead' end as touch_to_lead,
        case
            when opportunity_created_at < lead_created_at then 'lead to opportunity'
        end as lead_to_opportunity,
        case when won_at < opportunity_created_at then 'opportunity to won' end
            as opportunity_to_won,
        case when first_payment_at < won_at then 'won to payment' end as won_to_payment,
    from metrics.time_to_revenue
),

final as (
    select
        account_id,
        concat_ws(', ', touch_to_lead, lead_to_opportunity, opportunity_to_won, won_to_payment)
            as legs,
    from accounts
    where
        touch_to_lead is not null
        or lead_to_opportunity is not null
        or opportunity_to_won is not null
        or won_to_payment is not null
)

select
    'crm.accounts' as table_name,
    account_id as record_id,
    cast(null as varchar) as column_name,
    concat('runs backwards: ', legs) as details,
from final
