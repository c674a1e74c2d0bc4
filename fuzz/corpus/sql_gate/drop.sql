drop table if exists sandbox.a, crm.accounts cascade
