select case name when 'a' then 1 when null then 2 else length(name) end from crm.accounts
