with start as (
    select day from core.mrr_start
)

select unnest(month_series(day, last_day())) as month from start
