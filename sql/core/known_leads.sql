select
    lead_id,
    email,
    source,
    converted_account_id,
    converted_contact_id,
    converted_opportunity_id,
    merged_into_id,
    is_deleted,
    created_at,
    first_response_at,
    qualified_at,
from crm.leads
where created_at < setting('reporting.as_of')
