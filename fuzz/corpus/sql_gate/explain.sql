explain analyze verbose select * from nrr
