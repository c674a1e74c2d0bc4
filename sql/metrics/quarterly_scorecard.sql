select period, metric, value, previous, target, status, owner, action_plan, is_complete
from metrics.scorecard
where cadence = 'quarterly'
