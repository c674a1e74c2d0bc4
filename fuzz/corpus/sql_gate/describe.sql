describe crm.accounts
