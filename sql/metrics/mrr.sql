with accounts as (
    select account_id, segment from crm.accounts
),

months as (
    select entity_id, movement, opening, change, fx, closing, month
    from core.mrr_months
    where opening > 0 or closing > 0
),

final as (
    select
        months.month,
        months.entity_id as account_id,
        accounts.segment,
        months.opening,
        months.movement,
        months.change,
        months.fx,
        months.closing,
        months.month < local_month(setting('reporting.as_of')) as is_complete,
    from months
    left join accounts on accounts.account_id = months.entity_id
)

select month, account_id, segment, opening, movement, change, fx, closing, is_complete from final
