create table if not exists sandbox.t (a int not null, b decimal(38, 38), c timestamp with time zone)
