create or replace view sandbox.v as select * from crm.accounts
