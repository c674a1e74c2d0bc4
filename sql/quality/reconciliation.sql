with accounts as (
    select account_id, issue, won_amount, billed_amount from core.won_and_billed
)

select
    account_id,
    won_amount,
    billed_amount,
    cast(billed_amount - won_amount as decimal(18, 2)) as difference,
    issue,
from accounts
