kill '12'
