select cast(null as varchar) as account_id where false
