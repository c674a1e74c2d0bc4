with rates as (
    select
        currency,
        rate,
        rate_date,
        lead(rate_date) over (partition by currency order by rate_date) as next_date,
    from finance.fx_rates
    where rate_date <= last_day() and currency <> setting('reporting.currency')
),

final as (
    select
        currency,
        rate,
        unnest(day_series(
            rate_date,
            coalesce(
                cast(next_date - interval '1 day' as date),
                cast(last_day() + interval '31 days' as date)
            )
        )) as day,
    from rates
)

select currency, rate, day from final
