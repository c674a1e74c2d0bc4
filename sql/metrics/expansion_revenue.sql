with months as (
    select month, expansion, opening from metrics.nrr
)

select
    month,
    expansion,
    opening,
    cast(expansion as double) / nullif(cast(opening as double), 0) as expansion_rate,
    month < local_month(setting('reporting.as_of')) as is_complete,
from months
