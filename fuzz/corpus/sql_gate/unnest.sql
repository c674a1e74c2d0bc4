select unnest([1, 2]), unnest(named_struct('a', 1, 'b', [2])), * from unnest(['x', null]) as t(y)
