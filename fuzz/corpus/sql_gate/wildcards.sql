select a.* exclude (name) replace (1 as segment) rename (country as land), count(*) from crm.accounts as a
