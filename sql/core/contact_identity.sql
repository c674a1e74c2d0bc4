select contact_id, merged_into_id, is_deleted from crm.contacts
