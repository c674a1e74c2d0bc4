with spend as (
    select channel, campaign_id, platform, currency, amount, spend_date
    from campaign.spend
    where spend_date <= last_day()
),

rates as (
    select currency, rate, day from core.fx_days
),

final as (
    select
        spend.channel,
        spend.campaign_id,
        spend.platform,
        coalesce(
            case
                when spend.currency = setting('reporting.currency') then spend.amount
                else cast(spend.amount * rates.rate as decimal(18, 2))
            end,
            0
        ) as amount,
        spend.spend_date as day,
        month_of(spend.spend_date) as month,
    from spend
    left join rates on rates.currency = spend.currency and rates.day = spend.spend_date
)

select
    channel,
    campaign_id,
    platform,
    cast(amount as decimal(18, 2)) as amount,
    day,
    month,
from final
