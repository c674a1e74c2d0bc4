select
    entity_id,
    currency,
    amount,
    month_of(first_day) as first_period,
    coalesce(add_months(end_day, -1), month_of(last_day())) as last_period,
from core.mrr_items
