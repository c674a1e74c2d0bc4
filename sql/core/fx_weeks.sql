select
    currency,
    rate,
    week_of(day) as week,
from core.fx_days
where day = cast(week_of(day) + interval '6 days' as date)
