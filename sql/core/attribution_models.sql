select model
from (
    values
        ('first_touch'),
        ('last_touch'),
        ('last_non_direct'),
        ('linear'),
        ('position_based'),
        ('time_decay'),
        ('u_shaped_hubspot'),
        ('u_shaped_marketo'),
        ('w_shaped'),
        ('full_path'),
        ('markov'),
        ('shapley')
) as models (model)
