select current_user, user_attribute('country'), setting('attribution.lookback_days')
