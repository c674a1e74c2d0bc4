select account_id, segment, merged_into_id, is_deleted from crm.accounts
