select array_agg(x order by x)[1], make_array(1, null), [1,2][-1], array_slice([1,2,3], 2, 9223372036854775807) from (values (1), (2)) as t(x)
