select * from explain_metric('nrr', date '2024-03-01')
