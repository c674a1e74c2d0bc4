copy (select 1) to '/tmp/x' stored as parquet options (a 'b')
