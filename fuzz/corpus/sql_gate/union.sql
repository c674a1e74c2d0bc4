select 1 as x union all select 'a' intersect select null except (values (1.5)) order by x
