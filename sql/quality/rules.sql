select
    '{rule}' as rule,
    '{severity}' as severity,
    '{description}' as description,
    '{advice}' as advice,
    '{tables}' as tables,
    {is_enabled} as is_enabled,
    {is_optional} as is_optional,
    {is_custom} as is_custom
