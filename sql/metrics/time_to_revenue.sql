with accounts as (
    select account_id, segment from crm.accounts
),

touches as (
    select live_account_id as account_id, channel, first_touch_at from core.first_touches
),

leads as (
    select live_account_id as account_id, min(created_at) as lead_created_at
    from core.lead_identity
    where is_live and live_account_id is not null
    group by live_account_id
),

opportunities as (
    select
        account_id,
        bool_or(is_won) as has_won,
        bool_or(not is_closed) as has_open,
        min(created_at) as first_created_at,
        first_value(created_at order by closed_at, opportunity_id)
            filter (where is_won and closed_at is not null) as won_created_at,
        min(closed_at) filter (where is_won) as won_at,
    from core.opportunities
    where account_id is not null
    group by account_id
),

payments as (
    select entity_id as account_id, first_payment_at from core.first_payments
),

facts as (
    select
        account_id,
        channel,
        cast(null as boolean) as has_won,
        cast(null as boolean) as has_open,
        first_touch_at,
        cast(null as timestamp(6) with time zone) as lead_created_at,
        cast(null as timestamp(6) with time zone) as opportunity_created_at,
        cast(null as timestamp(6) with time zone) as won_at,
        cast(null as timestamp(6) with time zone) as first_payment_at,
    from touches
    union all
    select account_id, null, null, null, null, lead_created_at, null, null, null from leads
    union all
    select
        account_id,
        null,
        has_won,
        has_open,
        null,
        null,
        case when won_at is null then first_created_at else won_created_at end,
        won_at,
        null,
    from opportunities
    union all
    select account_id, null, null, null, null, null, null, null, first_payment_at from payments
),

milestones as (
    select
        account_id,
        coalesce(max(channel), '(none)') as channel,
        max(has_won) as has_won,
        max(has_open) as has_open,
        max(first_touch_at) as first_touch_at,
        max(lead_created_at) as lead_created_at,
        max(opportunity_created_at) as opportunity_created_at,
        max(won_at) as won_at,
        max(first_payment_at) as first_payment_at,
    from facts
    group by account_id
),

final as (
    select
        milestones.account_id,
        accounts.segment,
        milestones.channel,
        milestones.has_won,
        milestones.has_open,
        milestones.first_touch_at,
        milestones.lead_created_at,
        milestones.opportunity_created_at,
        milestones.won_at,
        milestones.first_payment_at,
    from milestones
    left join accounts on accounts.account_id = milestones.account_id
)

select
    account_id,
    segment,
    channel,
    first_touch_at,
    lead_created_at,
    opportunity_created_at,
    won_at,
    first_payment_at,
    days_between(first_touch_at, lead_created_at) as days_touch_to_lead,
    days_between(lead_created_at, opportunity_created_at) as days_lead_to_opportunity,
    days_between(opportunity_created_at, won_at) as days_opportunity_to_won,
    days_between(won_at, first_payment_at) as days_won_to_payment,
    days_between(first_touch_at, first_payment_at) as days_to_revenue,
    case
        when first_payment_at is not null then 'paid'
        when has_won then 'won_unpaid'
        when has_open then 'open'
        when has_open is not null then 'lost'
        else 'lead'
    end as status,
    first_payment_at is not null as is_complete,
from final
