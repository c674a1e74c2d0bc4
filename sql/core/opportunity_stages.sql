with opportunities as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        stage,
        is_won,
        is_closed,
        created_at,
        closed_at,
    from core.opportunities
),

states as (
    select opportunity_id, stage
    from crm.opportunity_history
    where changed_at < setting('reporting.as_of')
),

stages as (
    select stage, position, is_closed from crm.stages
),

-- A row for each change of a deal, or one alone, each with that stage and today's.
entered as (
    select
        opportunities.opportunity_id,
        opportunities.account_id,
        opportunities.owner_id,
        opportunities.opportunity_type,
        unnest(make_array(opportunities.stage, states.stage)) as stage,
        opportunities.is_won,
        opportunities.is_closed,
        opportunities.created_at,
        opportunities.closed_at,
    from opportunities
    left join states on states.opportunity_id = opportunities.opportunity_id
),

once as (
    select distinct
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        stage,
        is_won,
        is_closed,
        created_at,
        closed_at,
    from entered
    where stage is not null
),

final as (
    select
        once.opportunity_id,
        once.account_id,
        once.owner_id,
        once.opportunity_type,
        once.stage,
        stages.position,
        once.is_won,
        once.is_closed,
        once.created_at,
        once.closed_at,
    from once
    left join stages on stages.stage = once.stage
    where stages.is_closed is null or not stages.is_closed
)

select
    opportunity_id,
    account_id,
    owner_id,
    opportunity_type,
    stage,
    position,
    is_won,
    is_closed,
    local_month(created_at) as created_month,
    local_week(created_at) as created_week,
    local_month(closed_at) as closed_month,
    local_week(closed_at) as closed_week,
from final
