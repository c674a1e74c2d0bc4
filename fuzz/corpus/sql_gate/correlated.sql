select name from crm.accounts as a where exists (select 1 from crm.contacts as c where c.account_id = a.account_id and c.created_at > a.created_at)
