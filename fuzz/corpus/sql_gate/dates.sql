select date_trunc('week', timestamp '0001-01-01'), date_bin(interval '0 days', now()), date '9999-12-31' + interval '1 month', to_timestamp(9223372036854775807), extract(epoch from interval '1 year')
