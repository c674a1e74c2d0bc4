with states as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        stage,
        forecast_category,
        currency,
        stated_amount,
        current_amount,
        probability,
        is_first,
        is_won,
        month_of(close_date) as close_month,
        local_month(changed_at) as changed_month,
        local_month(next_changed_at) as next_changed_month,
        local_month(closed_at) as closed_month,
    from core.opportunity_states
),

stages as (
    select stage, is_closed from crm.stages
),

-- What a state of a deal may say: that it was forecast for the month of its close date, as it was
-- the last state before that month; that the deal was won; that its history starts.
facts as (
    select
        states.opportunity_id,
        states.account_id,
        states.owner_id,
        states.opportunity_type,
        states.forecast_category,
        states.currency,
        states.stated_amount,
        states.current_amount,
        states.probability,
        unnest(make_array(
            case
                when
                    states.changed_month < states.close_month
                    and coalesce(states.next_changed_month >= states.close_month, true)
                    and states.close_month <= last_day()
                    and not coalesce(stages.is_closed, false)
                    and coalesce(states.forecast_category, '') <> 'omitted'
                    then 'forecast'
            end,
            case
                when states.is_first and states.is_won and states.closed_month is not null
                    then 'actual'
            end,
            case when states.is_first and states.changed_month is not null then 'start' end
        )) as fact,
        states.close_month,
        states.changed_month,
        states.closed_month,
    from states
    left join stages on stages.stage = states.stage
),

dated as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        forecast_category,
        currency,
        case fact
            when 'forecast' then stated_amount
            when 'actual' then current_amount
        end as amount,
        probability,
        fact,
        case fact
            when 'forecast' then close_month
            when 'actual' then closed_month
            else changed_month
        end as month,
    from facts
    where fact is not null
),

rates as (
    select currency, rate, day from core.fx_days
),

converted as (
    select
        dated.opportunity_id,
        dated.account_id,
        dated.owner_id,
        dated.opportunity_type,
        dated.forecast_category,
        case
            when dated.currency = setting('reporting.currency') then dated.amount
            else dated.amount * rates.rate
        end as amount,
        dated.probability,
        dated.fact,
        dated.month,
    from dated
    left join rates on rates.currency = dated.currency and rates.day = dated.month
),

final as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        fact,
        case when fact = 'forecast' and forecast_category = 'commit' then amount end as forecast,
        case
            when fact = 'forecast'
                then cast(cast(amount as double) * probability as decimal(18, 6))
        end as weighted_forecast,
        case when fact = 'actual' then amount end as actual,
        month,
    from converted
)

select
    opportunity_id,
    account_id,
    owner_id,
    opportunity_type,
    fact,
    cast(coalesce(forecast, 0) as decimal(18, 2)) as forecast,
    cast(coalesce(weighted_forecast, 0) as decimal(18, 2)) as weighted_forecast,
    cast(coalesce(actual, 0) as decimal(18, 2)) as actual,
    month,
from final
