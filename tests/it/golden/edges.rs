//! What lies on the edge of every metric: nothing, one, ties, a leap day, what is below nothing.

use super::company;

#[tokio::test]
async fn wins_at_one_instant_are_ordered_by_id() {
    // D2 was created first; D1 is the first conversion, and the one that time to revenue is about: 28.5 days.
    let company = company(
        "2024-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D2 | A1 | 10.00 | 2024-01-01 | 2024-02-29T12:00:00Z | true | true
                D1 | A1 | 20.00 | 2024-02-01 | 2024-02-29T12:00:00Z | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | email | 2024-01-15",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select opportunity_id, is_first, value from core.conversions order by opportunity_id",
            "D1 | true | 20.00
             D2 | false | 10.00",
        )
        .await;
    company
        .assert(
            "select month, new_customers from cac order by month",
            "2024-02-01 | 1
             2024-03-01 | 0",
        )
        .await;
    company
        .assert(
            "select model, channel, new_customers from cac_by_channel where model in ('w_shaped', 'linear') order by 1",
            "linear | email | 1
             w_shaped | email | 1",
        )
        .await;
    company
        .assert(
            "select opportunity_created_at, won_at, days_opportunity_to_won, status from time_to_revenue",
            "2024-02-01T00:00:00Z | 2024-02-29T12:00:00Z | 28.5 | won_unpaid",
        )
        .await;
}

#[tokio::test]
async fn a_leap_month_ends_with_its_last_microsecond() {
    // 100 EUR at 1.20 on the leap day and at 1.30 a microsecond later; 10 EUR of spend on it are 12.00.
    let company = company(
        "2024-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | currency | created_at | closed_at | is_closed | is_won
                D1 | A1 | 100.00 | EUR | 2024-01-01 | 2024-02-29T23:59:59.999999Z | true | true
                D2 | A2 | 100.00 | EUR | 2024-01-01 | 2024-03-01 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | email | 2024-02-29
                T2 | A2 | email | 2024-02-29",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount | currency
                2024-02-29 | C1 | email | 10.00 | EUR",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-02-29 | 1.20
                EUR | 2024-03-01 | 1.30",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select month, channel, conversions, revenue, spend, roas from attribution_by_channel
             where model = 'linear' order by month",
            "2024-02-01 | email | 1 | 120.00 | 12.00 | 10
             2024-03-01 | email | 1 | 130.00 | 0.00 | -",
        )
        .await;
    company
        .assert(
            "select month, ad_spend, new_customers, cac from cac order by month",
            "2024-02-01 | 12.00 | 1 | 12
             2024-03-01 | 0.00 | 1 | 0",
        )
        .await;
}

#[tokio::test]
async fn one_touch_has_it_all_and_what_is_below_nothing_is_shared_too() {
    // D1 was created before its only touch, so that nothing but that touch is there. D2: -0.01 over two, half a cent
    // away from zero: C = -0.01, -0.01. D3 is worth 0.00 and keeps its weights.
    let company = company(
        "2025-03-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 33.33 | 2025-01-05 | 2025-01-31 | true | true
                D2 | A2 | -0.01 | 2025-01-05 | 2025-01-31 | true | true
                D3 | A3 | 0.00 | 2025-01-05 | 2025-01-31 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T11 | A1 | direct | 2025-01-10
                T21 | A2 | email | 2025-01-10
                T22 | A2 | email | 2025-01-11
                T31 | A3 | email | 2025-01-10
                T32 | A3 | email | 2025-01-11",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select count(*), min(weight), max(weight), min(credit), max(credit) from attribution
             where opportunity_id = 'D1'",
            "10 | 1 | 1 | 33.33 | 33.33",
        )
        .await;
    company
        .assert(
            "select touch_id, weight, credit from attribution
             where model = 'linear' and opportunity_id in ('D2', 'D3') order by touch_id",
            "T21 | 0.5 | -0.01
             T22 | 0.5 | 0.00
             T31 | 0.5 | 0.00
             T32 | 0.5 | 0.00",
        )
        .await;
    company
        .assert(
            "select conversions, revenue, spend, roas from attribution_by_channel
             where model = 'linear' and channel = 'email'",
            "2 | -0.01 | 0.00 | -",
        )
        .await;
}

#[tokio::test]
async fn instants_that_are_equal_are_no_days_apart_and_a_leap_day_is_one() {
    // A1: touch and lead at the start of 02-28, the rest at the start of 03-01, two days later. A2: touched as it paid.
    // The median of 0 and 2 is 1, nine of ten lie at 1.8.
    let company = company(
        "2024-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.leads",
                "lead_id | created_at | converted_account_id
                L1 | 2024-02-28 | A1",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 1.00 | 2024-03-01 | 2024-03-01 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | email | 2024-02-28
                T2 | A2 | paid | 2024-03-01",
            ),
            (
                "billing.customers",
                "customer_id | account_id
                C1 | A1
                C2 | A2",
            ),
            (
                "billing.payments",
                "payment_id | customer_id | status | amount | paid_at
                P1 | C1 | succeeded | 1.00 | 2024-03-01
                P2 | C2 | succeeded | 1.00 | 2024-03-01",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select account_id, days_touch_to_lead, days_lead_to_opportunity, days_opportunity_to_won,
                 days_won_to_payment, days_to_revenue
             from time_to_revenue order by account_id",
            "A1 | 0 | 2 | 0 | 0 | 2
             A2 | - | - | - | - | 0",
        )
        .await;
    company
        .assert(
            "select month, channel, customers, median_days, p90_days, mean_days from time_to_revenue_monthly
             order by month, channel",
            "2024-03-01 | (all) | 2 | 1 | 1.8 | 1
             2024-03-01 | email | 1 | 2 | 2 | 2
             2024-03-01 | paid | 1 | 0 | 0 | 0",
        )
        .await;
    // In Sao Paulo it is still the leap day, and at as_of still March.
    company
        .assert_with(
            &[("reporting.timezone", "America/Sao_Paulo")],
            "select month, customers, median_days, is_complete from time_to_revenue_monthly
             where channel = '(all)' order by month",
            "2024-02-01 | 2 | 1 | true
             2024-03-01 | 0 | - | false",
        )
        .await;
}

#[tokio::test]
async fn customers_of_one_account_are_one_entity_and_rates_move_cents_alone() {
    // A1: 10.00, with 5.00 from the leap day on, without the 10.00 from March on. C3: 0.01 EUR at 1.00, at 0.50, which
    // is half a cent away from zero, and at 0.49: nothing is left, though nothing was taken. C4: GBP has a rate from the
    // last day of February on. C5 has an item of nothing.
    let company = company(
        "2024-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "billing.customers",
                "customer_id | account_id
                C1 | A1
                C2 | A1
                C3 | -
                C4 | -
                C5 | -",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | C1 | active | 2024-01-01
                S2 | C2 | active | 2024-01-01
                S3 | C3 | active | 2024-01-01
                S4 | C4 | active | 2024-01-01
                S5 | C5 | active | 2024-01-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 10 | USD | 2024-01-10 | 2024-03-01
                I2 | S2 | 1 | 5 | USD | 2024-02-29 | -
                I3 | S3 | 1 | 0.01 | EUR | 2024-01-10 | -
                I4 | S4 | 1 | 7 | GBP | 2024-01-10 | -
                I5 | S5 | 0 | 9 | USD | 2024-01-10 | -",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-01 | 1.00
                EUR | 2024-02-01 | 0.50
                EUR | 2024-03-01 | 0.49
                GBP | 2024-02-29 | 1.00",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select account_id, month, opening, movement, change, fx, closing from mrr order by account_id, month",
            "A1 | 2024-01-01 | 0.00 | new | 10.00 | 0.00 | 10.00
             A1 | 2024-02-01 | 10.00 | expansion | 5.00 | 0.00 | 15.00
             A1 | 2024-03-01 | 15.00 | contraction | -10.00 | 0.00 | 5.00
             billing:C3 | 2024-01-01 | 0.00 | new | 0.01 | 0.00 | 0.01
             billing:C3 | 2024-02-01 | 0.01 | none | 0.00 | 0.00 | 0.01
             billing:C3 | 2024-03-01 | 0.01 | churn | 0.00 | -0.01 | 0.00
             billing:C4 | 2024-02-01 | 0.00 | new | 7.00 | 0.00 | 7.00
             billing:C4 | 2024-03-01 | 7.00 | none | 0.00 | 0.00 | 7.00",
        )
        .await;
    company
        .assert(
            "select month, opening, expansion, contraction, churn, nrr, logo_churn_rate from nrr order by month",
            "2024-01-01 | 0.00 | 0.00 | 0.00 | 0.00 | - | -
             2024-02-01 | 10.01 | 5.00 | 0.00 | 0.00 | 1.4995 | 0
             2024-03-01 | 22.00 | 0.00 | 10.00 | 0.00 | 0.545455 | 0.333333",
        )
        .await;
}
