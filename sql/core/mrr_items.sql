with customers as (
    select customer_id, entity_id from core.customer_identity
),

subscriptions as (
    select
        subscription_id,
        customer_id,
        started_at,
        trial_ends_at,
        coalesce(
            ended_at,
            case when status in ('canceled', 'unpaid') then canceled_at end
        ) as ended_at,
    from billing.subscriptions
    where status not in ('incomplete', 'incomplete_expired', 'trialing')
),

items as (
    select
        item_id,
        subscription_id,
        currency,
        item_mrr(unit_amount, quantity, discount_pct, "interval", interval_count) as amount,
        effective_from,
        effective_to,
    from billing.subscription_items
    where effective_from <= last_day()
),

final as (
    select
        items.item_id,
        customers.entity_id,
        items.currency,
        items.amount,
        greatest(
            items.effective_from,
            local_day(subscriptions.started_at),
            local_day(subscriptions.trial_ends_at)
        ) as first_day,
        least(
            case when items.effective_to <= last_day() then items.effective_to end,
            case
                when subscriptions.ended_at < setting('reporting.as_of')
                    then local_day(subscriptions.ended_at)
            end
        ) as end_day,
    from items
    inner join subscriptions on subscriptions.subscription_id = items.subscription_id
    inner join customers on customers.customer_id = subscriptions.customer_id
    where
        items.amount > 0
        and subscriptions.started_at < setting('reporting.as_of')
        and (
            subscriptions.trial_ends_at is null
            or subscriptions.trial_ends_at < setting('reporting.as_of')
        )
)

select item_id, entity_id, currency, amount, first_day, end_day from final
