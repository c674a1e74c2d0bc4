select country, segment, grouping(country), count(*) from crm.accounts group by grouping sets ((country), (segment), ()), rollup(country)
