//! Recurring revenue week by week, and what becomes of those who came together.

use super::{Company, company};

async fn weeks() -> Company {
    // E1 grows on a Monday and shrinks on a Monday; E2 pays in euros, leaves and comes back; E3 stays for three days
    // within a week; E4 ends at the very start of a week.
    company(
        "2025-01-22T12:00:00Z",
        &[
            ("billing.customers", "customer_id\nE1\nE2\nE3\nE4"),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2025-01-01
                S2 | E2 | active | 2025-01-01
                S3 | E3 | active | 2025-01-01
                S4 | E4 | active | 2025-01-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 100 | USD | 2025-01-01 | 2025-01-13
                I2 | S1 | 1 | 130 | USD | 2025-01-13 | 2025-01-20
                I3 | S1 | 1 | 120 | USD | 2025-01-20 | -
                I4 | S2 | 1 | 100 | EUR | 2025-01-06 | 2025-01-15
                I5 | S2 | 1 | 100 | EUR | 2025-01-21 | -
                I6 | S3 | 1 | 50 | USD | 2025-01-07 | 2025-01-10
                I7 | S4 | 1 | 10 | USD | 2025-01-01 | 2025-01-06",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-01 | 1.00
                EUR | 2025-01-12 | 1.10
                EUR | 2025-01-13 | 1.20",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn the_bridge_by_week() {
    // Monday weeks. 2025-01-06 ends on Sunday the 12th, at 1.10. The week after opens with 110 of E2, gains 10 by the rate
    // of 1.20, and loses 120.
    let company = weeks().await;
    company
        .assert(
            "select * from mrr_movements_weekly order by week",
            "2024-12-30 | 0.00 | 110.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 110.00 | 0 | 2 | 0 | 0 | 2 | true
             2025-01-06 | 110.00 | 110.00 | 0.00 | 0.00 | 10.00 | 0.00 | 0.00 | 210.00 | 2 | 1 | 1 | 0 | 2 | true
             2025-01-13 | 210.00 | 0.00 | 30.00 | 0.00 | 120.00 | 0.00 | 10.00 | 130.00 | 2 | 0 | 1 | 0 | 1 | true
             2025-01-20 | 130.00 | 0.00 | 0.00 | 10.00 | 0.00 | 120.00 | 0.00 | 240.00 | 1 | 0 | 0 | 1 | 2 | false",
        )
        .await;
}

#[tokio::test]
async fn weeks_that_start_on_sunday_end_at_another_rate() {
    // 2025-01-05 ends on Saturday the 11th, at 1.00; E2 then leaves at the 1.20 of the 18th, 20 of it by the rate.
    let company = weeks().await;
    company
        .assert_with(
            &[("reporting.week_start", "sunday")],
            "select week, opening, new, expansion, contraction, churn, reactivation, fx, closing
             from mrr_movements_weekly order by week",
            "2024-12-29 | 0.00 | 110.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 110.00
             2025-01-05 | 110.00 | 100.00 | 0.00 | 0.00 | 10.00 | 0.00 | 0.00 | 200.00
             2025-01-12 | 200.00 | 0.00 | 30.00 | 0.00 | 120.00 | 0.00 | 20.00 | 130.00
             2025-01-19 | 130.00 | 0.00 | 0.00 | 10.00 | 0.00 | 120.00 | 0.00 | 240.00",
        )
        .await;
}

#[tokio::test]
async fn a_cohort_keeps_its_rates_and_its_entities() {
    // January: E1 100, E2 100 EUR at 1.00, E3 10 and 30 GBP that has no rate before February. E1 then pays 150, nothing, and
    // 80; E2 leaves in March. E4 comes in March. Nobody comes in February, or in April, which is not over.
    let company = company(
        "2025-04-16T00:00:00Z",
        &[
            ("billing.customers", "customer_id\nE1\nE2\nE3\nE4"),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2025-01-01
                S2 | E2 | active | 2025-01-01
                S3 | E3 | active | 2025-01-01
                S4 | E4 | active | 2025-01-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 100 | USD | 2025-01-01 | 2025-02-01
                I2 | S1 | 1 | 150 | USD | 2025-02-01 | 2025-03-01
                I3 | S1 | 1 | 80 | USD | 2025-04-01 | -
                I4 | S2 | 1 | 100 | EUR | 2025-01-01 | 2025-03-01
                I5 | S3 | 1 | 10 | USD | 2025-01-01 | -
                I6 | S3 | 1 | 30 | GBP | 2025-01-01 | -
                I7 | S4 | 1 | 40 | USD | 2025-03-10 | -",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-01 | 1.00
                EUR | 2025-02-01 | 2.00
                GBP | 2025-02-01 | 1.30",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from retention_cohorts order by cohort_month, months_since",
            "2025-01-01 | 0 | 3 | 210.00 | 1 | 1 | true
             2025-01-01 | 1 | 3 | 260.00 | 1 | 1.238095 | true
             2025-01-01 | 2 | 1 | 10.00 | 0.333333 | 0.047619 | true
             2025-01-01 | 3 | 2 | 90.00 | 0.666667 | 0.428571 | false
             2025-03-01 | 0 | 1 | 40.00 | 1 | 1 | true
             2025-03-01 | 1 | 1 | 40.00 | 1 | 1 | false",
        )
        .await;
}
