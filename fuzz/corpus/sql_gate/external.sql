create external table x stored as csv location '/etc/passwd' with order (a asc)
