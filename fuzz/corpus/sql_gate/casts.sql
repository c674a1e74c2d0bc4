select cast('1e400' as double), try_cast('x' as int), '99999999999999999999'::decimal(38, 10), arrow_cast(1, 'Dictionary(Int8, Utf8)')
