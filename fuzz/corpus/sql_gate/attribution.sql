select * from attribution('linear', 30, null)
