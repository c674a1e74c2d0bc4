with touches as (
    select touch_id, touch_type, channel, email
    from core.touch_identity
    where live_account_id is null
)

select
    'campaign.touches' as table_name,
    touch_id as record_id,
    cast(null as varchar) as column_name,
    concat(
        touch_type,
        ' in ',
        channel,
        case when email is null then ' without email' else concat(' by ', email) end,
        ' leads to no live account'
    ) as details,
from touches
