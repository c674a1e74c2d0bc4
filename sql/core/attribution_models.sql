select model from core.touch_models
union all
select model from (values ('markov'), ('shapley')) as models (model)
