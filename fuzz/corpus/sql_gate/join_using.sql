select * from crm.accounts natural full join billing.customers left anti join crm.contacts on true
