with states as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        currency,
        coalesce(amount, 0) as amount,
        coalesce(current_amount, 0) as current_amount,
        is_first,
        is_won,
        closed_at is not null
            and (is_first or changed_at < closed_at)
            and (next_changed_at is null or next_changed_at >= closed_at) as is_at_closing,
        local_month(created_at) as created_month,
        local_month(closed_at) as closed_month,
        -- The months at whose end the deal was open in this state: none where to is before from.
        case
            when is_first then local_month(created_at)
            else greatest(local_month(created_at), local_month(changed_at))
        end as from_month,
        least(
            month_of(last_day()),
            add_months(local_month(closed_at), -1),
            add_months(local_month(next_changed_at), -1)
        ) as to_month,
    from core.opportunity_states
    where not is_closed or closed_at is not null
),

-- The month after those, too, which opens with the state, and the month of the closing.
state_months as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        currency,
        amount,
        current_amount,
        is_first,
        is_won,
        is_at_closing,
        created_month,
        closed_month,
        from_month,
        to_month,
        unnest(month_series(
            case when is_at_closing then least(from_month, closed_month) else from_month end,
            least(
                month_of(last_day()),
                greatest(
                    add_months(to_month, 1),
                    case when is_first then created_month end
                )
            )
        )) as month,
    from states
),

rates as (
    select currency, rate, day from core.fx_days
),

valued as (
    select
        months.opportunity_id,
        months.account_id,
        months.owner_id,
        months.opportunity_type,
        case
            when months.currency = setting('reporting.currency') then months.amount
            else cast(months.amount * coalesce(rates.rate, 0) as decimal(18, 2))
        end as value,
        case
            when months.currency = setting('reporting.currency') then months.current_amount
            else cast(months.current_amount * coalesce(rates.rate, 0) as decimal(18, 2))
        end as current_value,
        months.month > months.from_month and months.from_month <= months.to_month as is_opening,
        months.is_first and months.month = months.created_month as is_creation,
        months.is_at_closing and months.month = months.closed_month as is_closing,
        months.is_won,
        months.month >= months.from_month and months.month <= months.to_month as is_open_at_end,
        months.month,
    from state_months as months
    left join rates on rates.currency = months.currency and rates.day = months.month
),

sums as (
    select
        opportunity_id,
        max(account_id) as account_id,
        max(owner_id) as owner_id,
        max(opportunity_type) as opportunity_type,
        sum(case when is_opening then value else 0 end) as opening,
        sum(case when is_creation then value else 0 end) as created,
        sum(case when is_closing and is_won then current_value else 0 end) as won,
        sum(case when is_closing and not is_won then value else 0 end) as lost,
        sum(case when is_open_at_end then value else 0 end) as closing,
        month,
    from valued
    group by opportunity_id, month
),

final as (
    select
        opportunity_id,
        account_id,
        owner_id,
        opportunity_type,
        opening,
        created,
        closing + won + lost - opening - created as change,
        won,
        lost,
        closing,
        month,
    from sums
)

select
    opportunity_id,
    account_id,
    owner_id,
    opportunity_type,
    cast(opening as decimal(18, 2)) as opening,
    cast(created as decimal(18, 2)) as created,
    cast(greatest(change, 0) as decimal(18, 2)) as increased,
    cast(greatest(-change, 0) as decimal(18, 2)) as decreased,
    cast(won as decimal(18, 2)) as won,
    cast(lost as decimal(18, 2)) as lost,
    cast(closing as decimal(18, 2)) as closing,
    month,
from final
