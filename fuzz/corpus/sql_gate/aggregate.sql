select segment, count(*), sum(case when is_won then 1 else 0 end) from crm.opportunities join crm.accounts using (account_id) group by 1 having count(*) > 1 order by 2 desc limit 5 offset 1
