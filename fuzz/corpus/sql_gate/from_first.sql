from crm.accounts select name
