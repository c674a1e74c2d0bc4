select
    touch_id,
    channel,
    campaign_id,
    live_account_id,
    person_id,
    touched_at,
from core.touch_identity
where live_account_id is not null
