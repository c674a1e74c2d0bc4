//! What a customer is worth beside what it cost, and what those who are there add.

use super::company;

#[tokio::test]
async fn a_customer_is_worth_its_margin_for_as_long_as_it_stays() {
    // February: two entities at 100 and 60, 40 of 200 lost, margin 0.5: 80 x 0.5 / 0.2 = 200; 300 over two customers.
    // March: nothing is lost, so there is no lifetime; its customer cost nothing.
    let company = company(
        "2025-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 10.00 | 2025-01-01 | 2025-02-10 | true | true
                D2 | A2 | 10.00 | 2025-01-01 | 2025-02-11 | true | true
                D3 | A3 | 10.00 | 2025-01-01 | 2025-03-11 | true | true",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount
                2024-12-20 | C1 | paid | 100.00
                2025-02-20 | C1 | paid | 300.00",
            ),
            ("billing.customers", "customer_id\nE1\nE2"),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2025-01-01
                S2 | E2 | active | 2025-01-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 100 | USD | 2025-01-01 | -
                I2 | S2 | 1 | 100 | USD | 2025-01-01 | 2025-02-10
                I3 | S2 | 1 | 60 | USD | 2025-02-10 | -",
            ),
            (
                "finance.gross_margin",
                "month | gross_margin
                2025-02-01 | 0.5",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select month, arpa, gross_margin, gross_churn_rate, ltv, cac, ltv_to_cac, payback_months
             from ltv_cac order by month",
            "2024-12-01 | - | 0.8 | - | - | - | - | -
             2025-01-01 | 100 | 0.8 | - | - | - | - | -
             2025-02-01 | 80 | 0.5 | 0.2 | 200 | 150 | 1.333333 | 3.75
             2025-03-01 | 80 | 0.8 | 0 | - | 0 | - | 0",
        )
        .await;
    company
        .assert_with(
            &[("unit_economics.gross_margin", "0"), ("cac.cost_lag_months", "1")],
            "select month, gross_margin, ltv, cac, payback_months from ltv_cac where month >= date '2025-02-01'
             order by month",
            "2025-02-01 | 0.5 | 200 | 0 | 0
             2025-03-01 | 0 | - | 300 | -",
        )
        .await;
}

#[tokio::test]
async fn growth_of_those_who_were_there_is_expansion() {
    // E1 pays 100 EUR, then 120 at 1.10: it opens February with 110.00 and adds 22.00. E2 is new, E3 comes back.
    let company = company(
        "2025-04-01T00:00:00Z",
        &[
            ("billing.customers", "customer_id\nE1\nE2\nE3"),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2024-12-01
                S2 | E2 | active | 2024-12-01
                S3 | E3 | active | 2024-12-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 100 | EUR | 2025-01-01 | 2025-02-10
                I2 | S1 | 1 | 120 | EUR | 2025-02-10 | 2025-03-01
                I3 | S2 | 1 | 500 | USD | 2025-02-10 | 2025-03-10
                I4 | S3 | 1 | 70 | USD | 2024-12-10 | 2025-01-10
                I5 | S3 | 1 | 90 | USD | 2025-02-10 | 2025-03-10",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-01 | 1.00
                EUR | 2025-02-28 | 1.10",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from expansion_revenue order by month",
            "2024-12-01 | 0.00 | 0.00 | - | true
             2025-01-01 | 0.00 | 70.00 | 0 | true
             2025-02-01 | 22.00 | 110.00 | 0.2 | true
             2025-03-01 | 0.00 | 722.00 | 0 | true",
        )
        .await;
}
