insert into sandbox.t (a, a) values (1, 2), (3)
