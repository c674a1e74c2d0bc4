with credit as (
    select month, model, channel, weight, credit from core.pipeline_credit_sums
),

final as (
    select
        month,
        model,
        channel,
        sum(weight) as opportunities,
        cast(sum(credit) as decimal(18, 2)) as amount,
    from credit
    group by month, model, channel
)

select
    month,
    model,
    channel,
    opportunities,
    amount,
    month < local_month(setting('reporting.as_of')) as is_complete,
from final
