with sessions as (
    select session_id, customer_id, utm_source, utm_campaign, started_at from playbook.sessions
),

final as (
    select
        cast(session_id as varchar) as touch_id,
        utm_campaign as campaign_id,
        cast(customer_id as varchar) as account_id,
        'session' as touch_type,
        utm_source as channel,
        started_at as touched_at,
    from sessions
)

select touch_id, campaign_id, account_id, touch_type, channel, touched_at from final
