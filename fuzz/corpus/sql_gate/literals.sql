select X'ff', E'\u0041\n', U&'\0041', $$text$$, 1e-400, 0x1F, 'it''s', "name" from crm.accounts
