with accounts as (
    select account_id, live_account_id from core.account_identity
),

deals as (
    select
        opportunity_id,
        account_id,
        owner_id,
        campaign_id,
        type as opportunity_type,
        stage,
        forecast_category,
        currency,
        amount,
        probability,
        is_won and (closed_at is null or closed_at < setting('reporting.as_of')) as is_won,
        (is_closed or is_won)
            and (closed_at is null or closed_at < setting('reporting.as_of')) as is_closed,
        close_date,
        created_at,
        case
            when (is_closed or is_won) and closed_at < setting('reporting.as_of') then closed_at
        end as closed_at,
    from crm.opportunities
    where not is_deleted and created_at < setting('reporting.as_of')
),

final as (
    select
        deals.opportunity_id,
        accounts.live_account_id as account_id,
        deals.owner_id,
        deals.campaign_id,
        deals.opportunity_type,
        deals.stage,
        deals.forecast_category,
        deals.currency,
        deals.amount,
        deals.probability,
        deals.is_won,
        deals.is_closed,
        deals.close_date,
        deals.created_at,
        deals.closed_at,
    from deals
    left join accounts on accounts.account_id = deals.account_id
)

select
    opportunity_id,
    account_id,
    owner_id,
    campaign_id,
    opportunity_type,
    stage,
    forecast_category,
    currency,
    amount,
    probability,
    is_won,
    is_closed,
    close_date,
    created_at,
    closed_at,
from final
