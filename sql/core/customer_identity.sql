select customer_id, account_id, email, merged_into_id, is_deleted from billing.customers
