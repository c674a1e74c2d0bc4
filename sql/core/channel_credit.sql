select
    touch_id,
    channel,
    account_id,
    contact_id,
    lead_id,
    email,
    touched_at,
from campaign.touches
where touched_at < setting('reporting.as_of')
