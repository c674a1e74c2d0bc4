select * from topline.crm.accounts, "crm"."accounts", information_schema.columns, '/etc/passwd'
