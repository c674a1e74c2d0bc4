select
    entity_id,
    currency,
    amount,
    week_of(first_day) as first_period,
    coalesce(
        cast(week_of(end_day) - interval '7 days' as date),
        week_of(last_day())
    ) as last_period,
from core.mrr_items
