select 'a%b' like 'a\%_' escape '\', 'x' similar to '(x|y)*', regexp_replace('aaa', 'a{2}', '$0', 'g')
