with roles as (
    select opportunity_id, contact_id from crm.opportunity_contacts
),

contacts as (
    select contact_id, live_contact_id from core.contact_identity
),

final as (
    select distinct
        roles.opportunity_id,
        contacts.live_contact_id as person_id,
    from roles
    inner join contacts on contacts.contact_id = roles.contact_id
)

select opportunity_id, person_id from final
