//! Parts equal wholes, under any settings.

use crate::support::{rows, sample, session};

/// What a law is about, so that a setting is tried on what it changes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Subject {
    Attribution,
    Cost,
    Recurring,
    Time,
}

/// Laws: each counts what it looked at and what breaks it.
const LAWS: [(Subject, &str, &str); 11] = [
    (
        Subject::Attribution,
        "credit of a month and model is the revenue won in it",
        "with won as (select month, sum(value) as value from core.conversions group by month),
         credit as (select month, model, sum(credit) as credit from attribution group by month, model),
         expected as (select won.month, models.model, won.value from won cross join core.touch_models as models)
         select count(*), count(*) filter (where (expected.value is distinct from credit.credit))
         from expected full join credit on credit.month = expected.month and credit.model = expected.model",
    ),
    (
        Subject::Attribution,
        "weights of a conversion sum to 1, its credits to its value, and positions are those of touch_count",
        "with paths as (
             select opportunity_id, model, sum(weight) as weight, sum(credit) as credit,
                 min(position) as first, max(position) as last, max(touch_count) as touches,
                 count(*) filter (where model = 'linear') as linear_rows
             from attribution group by opportunity_id, model
         )
         select count(*), count(*) filter (where
             not abs(paths.weight - 1) < 1e-9
             or (paths.credit is distinct from conversions.value)
             or paths.first < 1
             or paths.last > paths.touches
             or (paths.touches = 0) <> (paths.last is null)
             or (paths.model = 'linear' and paths.linear_rows <> greatest(paths.touches, 1)))
         from core.conversions as conversions
         left join paths on paths.opportunity_id = conversions.opportunity_id",
    ),
    (
        Subject::Attribution,
        "channels and campaigns sum to credit and spend",
        "with parts as (
             select month, model, 'channel' as part, sum(revenue) as revenue, sum(conversions) as conversions,
                 sum(spend) as spend
             from attribution_by_channel group by month, model
             union all
             select month, model, 'campaign', sum(revenue), sum(conversions), sum(spend)
             from attribution_by_campaign group by month, model
         ),
         credit as (
             select month, model, sum(credit) as revenue, sum(weight) as conversions
             from attribution group by month, model
             union all
             select won.month, models.model, sum(won.value), count(*)
             from core.conversions as won cross join core.attribution_models as models
             where models.model in ('markov', 'shapley')
             group by won.month, models.model
         ),
         spend as (select month, sum(amount) as amount from core.spend group by month)
         select count(*), count(*) filter (where
             parts.month is null
             or coalesce(parts.revenue, 0) <> coalesce(credit.revenue, 0)
             or not abs(coalesce(parts.conversions, 0) - coalesce(credit.conversions, 0)) < 1e-6
             or coalesce(parts.spend, 0) <> coalesce(spend.amount, 0))
         from parts
         full join credit on credit.month = parts.month and credit.model = parts.model
         full join spend on spend.month = parts.month",
    ),
    (
        Subject::Cost,
        "channels sum to the cost and the new customers of the month",
        "with parts as (
             select month, model, sum(acquisition_cost) as cost, sum(ad_spend) as ad_spend,
                 sum(new_customers) as new_customers
             from cac_by_channel group by month, model
         ),
         wholes as (select * from cac cross join core.touch_models)
         select count(*), count(*) filter (where
             (coalesce(parts.cost, 0) is distinct from wholes.acquisition_cost)
             or (coalesce(parts.ad_spend, 0) is distinct from wholes.ad_spend)
             or not coalesce(abs(coalesce(parts.new_customers, 0) - wholes.new_customers) < 1e-6, false))
         from parts full join wholes on wholes.month = parts.month and wholes.model = parts.model",
    ),
    (
        Subject::Cost,
        "cost and new customers are those of the facts",
        "with wholes as (
             select sum(acquisition_cost) as cost, sum(new_customers) as new_customers from cac
         ),
         costs as (select sum(amount) as cost from core.acquisition_cost),
         customers as (select count(*) as new_customers from core.conversions where is_first)
         select count(*), count(*) filter (where
             (wholes.cost is distinct from costs.cost) or wholes.new_customers <> customers.new_customers)
         from wholes cross join costs cross join customers",
    ),
    (
        Subject::Recurring,
        "the bridge closes, and opens where it closed before",
        "with bridge as (
             select *, lag(closing) over (order by month) as closing_before,
                 lag(customers_closing) over (order by month) as customers_before,
                 lag(month) over (order by month) as month_before
             from mrr_movements
         )
         select count(*), count(*) filter (where
             opening + new + expansion - contraction - churn + reactivation + fx <> closing
             or customers_opening + customers_new - customers_churned + customers_reactivated <> customers_closing
             or opening <> coalesce(closing_before, 0)
             or customers_opening <> coalesce(customers_before, 0)
             or month <> coalesce(add_months(month_before, 1), month))
         from bridge",
    ),
    (
        Subject::Recurring,
        "entities sum to the bridge, and the average is of them",
        "with entities as (
             select month, sum(opening) as opening, sum(change) as change, sum(fx) as fx, sum(closing) as closing,
                 count(*) filter (where closing > 0) as customers,
                 count(*) filter (where opening + change + fx <> closing) as open_rows
             from mrr group by month
         )
         select count(*), count(*) filter (where
             bridge.month is null
             or coalesce(entities.opening, 0) <> bridge.opening
             or coalesce(entities.closing, 0) <> bridge.closing
             or coalesce(entities.fx, 0) <> bridge.fx
             or coalesce(entities.change, 0) <> bridge.new + bridge.expansion - bridge.contraction - bridge.churn
                 + bridge.reactivation
             or coalesce(entities.customers, 0) <> bridge.customers_closing
             or entities.open_rows > 0
             or (arpa.mrr is distinct from bridge.closing)
             or (arpa.customers is distinct from bridge.customers_closing))
         from mrr_movements as bridge
         full join entities on entities.month = bridge.month
         full join arpa on arpa.month = bridge.month",
    ),
    (
        Subject::Recurring,
        "segments sum to the whole",
        "with parts as (
             select month, sum(opening) as opening, sum(expansion) as expansion, sum(contraction) as contraction,
                 sum(churn) as churn, count(*) as segments
             from nrr_by_segment group by month
         )
         select count(*), count(*) filter (where
             (parts.opening is distinct from nrr.opening)
             or (parts.expansion is distinct from nrr.expansion)
             or (parts.contraction is distinct from nrr.contraction)
             or (parts.churn is distinct from nrr.churn)
             or parts.segments <> (select count(distinct segment) from nrr_by_segment))
         from parts full join nrr on nrr.month = parts.month",
    ),
    (
        Subject::Recurring,
        "retention follows from the columns beside it, and from the entities",
        "with entities as (
             select month, sum(opening + fx) as opening, sum(closing) as kept
             from mrr where opening > 0 group by month
         )
         select count(*), count(*) filter (where
             nrr.month is null
             or coalesce(entities.opening, 0) <> nrr.opening
             or coalesce(entities.kept, 0) <> nrr.opening + nrr.expansion - nrr.contraction - nrr.churn
             or (nrr.opening = 0) <> (nrr.nrr is null)
             or abs(nrr.nrr - cast(entities.kept as double) / cast(nrr.opening as double)) > 1e-9
             or abs(nrr.grr - (1 - nrr.gross_churn_rate)) > 1e-9
             or nrr.grr > nrr.nrr + 1e-12
             or nrr.grr_12m > least(nrr.nrr_12m, 1) + 1e-12
             or nrr.logo_churn_rate not between 0 and 1)
         from nrr full join entities on entities.month = nrr.month",
    ),
    (
        Subject::Time,
        "channels of time to revenue sum to all of them",
        "with parts as (
             select month, sum(customers) as customers, count(*) as channels
             from time_to_revenue_monthly where channel <> '(all)' group by month
         ),
         wholes as (select * from time_to_revenue_monthly where channel = '(all)'),
         accounts as (
             select local_month(first_payment_at) as month, count(*) as customers, avg(days_to_revenue) as mean_days
             from time_to_revenue where days_to_revenue is not null group by local_month(first_payment_at)
         )
         select count(*), count(*) filter (where
             wholes.month is null
             or (parts.customers is distinct from wholes.customers)
             or coalesce(accounts.customers, 0) <> wholes.customers
             or coalesce(abs(accounts.mean_days - wholes.mean_days) > 1e-6, wholes.mean_days is not null)
             or wholes.median_days > wholes.p90_days)
         from wholes
         full join parts on parts.month = wholes.month
         full join accounts on accounts.month = wholes.month",
    ),
    (
        Subject::Time,
        "status and instants agree, and no leg is negative",
        "select count(*), count(*) filter (where
             (status = 'paid') <> (first_payment_at is not null)
             or (status = 'won_unpaid' and first_payment_at is not null)
             or (won_at is not null and status not in ('paid', 'won_unpaid'))
             or (status in ('open', 'lost') and opportunity_created_at is null)
             or (status = 'lead' and opportunity_created_at is not null)
             or (first_touch_at is null) <> (channel = '(none)')
             or least(days_touch_to_lead, days_lead_to_opportunity, days_opportunity_to_won, days_won_to_payment,
                 days_to_revenue) < 0)
         from time_to_revenue",
    ),
];

async fn assert_laws(settings: &[(&str, &str)], subjects: &[Subject]) {
    let session = session(&sample().await, settings);
    let mut problems = Vec::new();
    for (_, law, sql) in LAWS.iter().filter(|(subject, ..)| subjects.contains(subject)) {
        let found = rows(&session, sql).await;
        if found[0][0] == "0" || found[0][1] != "0" {
            problems.push(format!("{law}: {} of {}", found[0][1], found[0][0]));
        }
    }
    assert!(problems.is_empty(), "broken laws:\n{}", problems.join("\n"));
}

const ALL: [Subject; 4] = [Subject::Attribution, Subject::Cost, Subject::Recurring, Subject::Time];

#[tokio::test]
async fn parts_equal_wholes() {
    assert_laws(&[], &ALL).await;
}

#[tokio::test]
async fn parts_equal_wholes_in_sao_paulo() {
    assert_laws(&[("reporting.timezone", "America/Sao_Paulo"), ("reporting.week_start", "sunday")], &ALL).await;
}

/// The clocks of Beirut go forward at midnight, so that a day of March has no 00:00; the last month is cut off.
#[tokio::test]
async fn parts_equal_wholes_in_beirut_within_a_month() {
    assert_laws(&[("reporting.timezone", "Asia/Beirut"), ("reporting.as_of", "2026-10-16T09:30:00Z")], &ALL).await;
}

#[tokio::test]
async fn parts_equal_wholes_with_a_short_lookback_and_half_life() {
    let settings = [("attribution.lookback_days", "30"), ("attribution.half_life_days", "0.5")];
    assert_laws(&settings, &[Subject::Attribution, Subject::Cost]).await;
}

#[tokio::test]
async fn parts_equal_wholes_with_cost_that_lags() {
    assert_laws(&[("cac.cost_lag_months", "2")], &[Subject::Cost]).await;
}

#[tokio::test]
async fn parts_equal_wholes_among_contacts_with_a_role() {
    let settings = [("attribution.touch_scope", "contact_roles")];
    assert_laws(&settings, &[Subject::Attribution, Subject::Cost]).await;
}

#[tokio::test]
async fn a_filter_leaves_the_rows_that_it_would_leave_of_all() {
    const FILTERED: [(&str, &str); 12] = [
        ("attribution", "month = date '2026-09-01'"),
        ("attribution", "month >= date '2026-07-01' and month < date '2026-09-01' and model = 'linear'"),
        ("attribution", "month in (date '2025-12-01', date '2026-09-01') and model in ('w_shaped', 'time_decay')"),
        ("attribution", "month = date '2026-09-01' or touch_count > 20"),
        ("attribution", "model <> 'linear' and channel = 'email' and position > 1"),
        ("attribution", "touch_id is null"),
        ("attribution", "opportunity_type = 'new' and account_id < 'A0000100' and weight < 0.2"),
        ("attribution_by_channel", "channel = 'events' and month > date '2026-01-01'"),
        ("cac_by_channel", "model = 'last_touch' and cac is not null"),
        ("mrr", "account_id > 'A0000100' and movement <> 'none'"),
        ("nrr_by_segment", "segment = 'smb' and month = date '2026-09-01'"),
        ("core.touch_identity", "channel = 'email' and live_account_id is null"),
    ];
    let engine = sample().await;
    let session = engine.session();
    for (view, filter) in FILTERED {
        let pushed = rows(&session, &format!("select count(*) from {view} where {filter}")).await;
        let all = rows(&session, &format!("select count(*) filter (where {filter}), count(*) from {view}")).await;
        assert_eq!(pushed[0][0], all[0][0], "{view} where {filter}");
        assert!(pushed[0][0] != "0" && all[0][0] != all[0][1], "{view} where {filter} leaves {pushed:?} of {all:?}");
    }
}
