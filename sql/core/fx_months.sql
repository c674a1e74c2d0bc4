select
    currency,
    rate,
    month_of(day) as month,
from core.fx_days
where day = cast(add_months(day, 1) - interval '1 day' as date)
