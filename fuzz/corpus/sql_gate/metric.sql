select month, nrr from nrr where month >= date '2024-01-01'
