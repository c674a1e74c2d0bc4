select 'ß' || upper('ı'), "ⅷ", '‮' from сrm.accounts
