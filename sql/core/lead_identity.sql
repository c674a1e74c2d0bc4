select
    lead_id,
    source,
    converted_account_id,
    converted_opportunity_id,
    merged_into_id,
    is_deleted,
    created_at,
    first_response_at,
    qualified_at,
from core.known_leads
