select
    lead_id,
    converted_opportunity_id,
    live_account_id,
    created_at,
from core.lead_identity
where is_live and (converted_opportunity_id is not null or live_account_id is not null)
