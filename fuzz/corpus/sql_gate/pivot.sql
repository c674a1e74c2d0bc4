select * from crm.accounts pivot (count(*) for segment in ('a', 'b'))
