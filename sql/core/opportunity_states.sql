with opportunities as (
    select
        opportunity_id,
        account_id,
        owner_id,
        campaign_id,
        opportunity_type,
        stage,
        currency,
        amount,
        is_won,
        is_closed,
        created_at,
        closed_at,
    from core.opportunities
),

-- One window over all rows: one for each of very many deals takes four times as long.
neighbours as (
    select
        opportunity_id,
        stage,
        forecast_category,
        amount,
        probability,
        close_date,
        changed_at,
        lag(opportunity_id) over (order by opportunity_id, changed_at) as previous_opportunity_id,
        lead(opportunity_id) over (order by opportunity_id, changed_at) as next_opportunity_id,
        lead(changed_at) over (order by opportunity_id, changed_at) as next_changed_at,
    from crm.opportunity_history
    where changed_at < setting('reporting.as_of')
),

history as (
    select
        opportunity_id,
        stage,
        forecast_category,
        amount,
        probability,
        previous_opportunity_id is null or previous_opportunity_id <> opportunity_id as is_first,
        close_date,
        changed_at,
        case when next_opportunity_id = opportunity_id then next_changed_at end as next_changed_at,
    from neighbours
),

final as (
    select
        opportunities.opportunity_id,
        opportunities.account_id,
        opportunities.owner_id,
        opportunities.campaign_id,
        opportunities.opportunity_type,
        opportunities.stage as current_stage,
        history.stage,
        history.forecast_category,
        opportunities.currency,
        case
            when history.is_first is null or history.is_first
                then coalesce(history.amount, opportunities.amount)
            else history.amount
        end as amount,
        history.amount as stated_amount,
        opportunities.amount as current_amount,
        history.probability,
        coalesce(history.is_first, true) as is_first,
        opportunities.is_won,
        opportunities.is_closed,
        history.close_date,
        history.changed_at,
        history.next_changed_at,
        opportunities.created_at,
        opportunities.closed_at,
    from opportunities
    left join history on history.opportunity_id = opportunities.opportunity_id
)

select
    opportunity_id,
    account_id,
    owner_id,
    campaign_id,
    opportunity_type,
    current_stage,
    stage,
    forecast_category,
    currency,
    amount,
    stated_amount,
    current_amount,
    probability,
    is_first,
    is_won,
    is_closed,
    close_date,
    changed_at,
    next_changed_at,
    created_at,
    closed_at,
from final
