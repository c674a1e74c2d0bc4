select $1, ?, $3 from nrr where nrr > $2
