set topline.attribution.lookback_days = 30; select 1
