with leads as (
    select lead_id, source, converted_opportunity_id, created_at, qualified_at
    from core.lead_identity
    where is_live
),

opportunities as (
    select
        opportunity_id,
        account_id,
        owner_id,
        is_won and closed_at is not null as is_won,
    from core.opportunities
),

payments as (
    select entity_id, first_payment_at from core.first_payments
),

final as (
    select
        leads.lead_id,
        opportunities.opportunity_id,
        opportunities.account_id,
        opportunities.owner_id,
        coalesce(leads.source, '(none)') as source,
        leads.qualified_at is not null as is_qualified,
        opportunities.opportunity_id is not null as has_opportunity,
        coalesce(opportunities.is_won, false) as is_won,
        coalesce(opportunities.is_won, false) and payments.first_payment_at is not null as is_paid,
        leads.created_at,
    from leads
    left join opportunities on opportunities.opportunity_id = leads.converted_opportunity_id
    left join payments on payments.entity_id = opportunities.account_id
)

select
    lead_id,
    opportunity_id,
    account_id,
    owner_id,
    source,
    is_qualified,
    has_opportunity,
    is_won,
    is_paid,
    local_month(created_at) as cohort_month,
from final
