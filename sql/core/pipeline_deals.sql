with deals as (
    select
        opportunity_id,
        opportunity_type,
        account_id,
        created_amount,
        created_month,
        created_at,
    from core.opportunity_values
),

final as (
    select
        opportunity_id,
        opportunity_type,
        account_id,
        created_amount as value,
        account_id is not null and row_number() over (
            partition by account_id order by created_at, opportunity_id
        ) = 1 as is_first,
        created_month as month,
        created_at,
        created_at as closed_at,
    from deals
)

select
    opportunity_id,
    opportunity_type,
    account_id,
    value,
    is_first,
    month,
    created_at,
    closed_at,
from final
