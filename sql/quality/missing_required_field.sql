select
    'crm.opportunities' as table_name,
    deals.opportunity_id as record_id,
    '{column}' as column_name,
    'a deal in stage {stage} must have {column}' as details,
from crm.opportunities as deals
where
    deals.stage = '{stage}'
    and not deals.is_deleted
    and deals.created_at < setting('reporting.as_of')
    and coalesce(trim(cast(deals.{column} as varchar)), '') = ''
