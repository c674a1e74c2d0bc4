select interval '2147483647 months' + interval '1 month', - interval '-178956970 years'
