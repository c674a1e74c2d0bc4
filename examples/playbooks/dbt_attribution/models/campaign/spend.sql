with ad_spend as (
    select utm_source, utm_campaign, spend, date_day from playbook.ad_spend
),

final as (
    select
        utm_campaign as campaign_id,
        utm_source as channel,
        setting('reporting.currency') as currency,
        spend as amount,
        date_day as spend_date,
    from ad_spend
)

select campaign_id, channel, currency, amount, spend_date from final
