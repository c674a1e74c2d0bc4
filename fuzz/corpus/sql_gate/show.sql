show all; show tables; show columns from crm.accounts
