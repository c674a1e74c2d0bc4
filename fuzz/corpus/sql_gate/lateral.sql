select * from crm.accounts as a, lateral (select count(*) from crm.contacts as c where c.account_id = a.account_id) as n
