//! Retention over twelve months: the same entities at two month ends a year apart.

use super::company;

#[tokio::test]
async fn a_year_compares_end_points_at_todays_rates() {
    // Who paid at the end of 2024-01, with what they pay at the end of 2025-01:
    //   E1 100 -> 150, E2 100 -> 60, E3 50 -> 0, E4 100 EUR -> 100 EUR at 1.10, E5 40 -> nothing -> 40; E6 came later.
    // Base 100 + 100 + 50 + 110 + 40 = 400. Net 150 + 60 + 0 + 110 + 40 = 360: 0.9. Gross 100 + 60 + 0 + 110 + 40 = 310:
    // 0.775. The spine starts in 2024-01, so its first twelve months have no year before them.
    let company = company(
        "2025-03-01T00:00:00Z",
        &[
            (
                "crm.accounts",
                "account_id | segment
                A1 | smb
                A4 | enterprise",
            ),
            (
                "billing.customers",
                "customer_id | account_id
                E1 | A1
                E2 | -
                E3 | -
                E4 | A4
                E5 | -
                E6 | -",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2024-01-01
                S2 | E2 | active | 2024-01-01
                S3 | E3 | active | 2024-01-01
                S4 | E4 | active | 2024-01-01
                S5 | E5 | active | 2024-01-01
                S6 | E6 | active | 2024-01-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
                I1 | S1 | 1 | 100 | USD | 2024-01-01 | 2024-06-01
                I2 | S1 | 1 | 150 | USD | 2024-06-01 | -
                I3 | S2 | 1 | 100 | USD | 2024-01-01 | 2024-06-01
                I4 | S2 | 1 | 60 | USD | 2024-06-01 | -
                I5 | S3 | 1 | 50 | USD | 2024-01-01 | 2024-08-15
                I6 | S4 | 1 | 100 | EUR | 2024-01-01 | -
                I7 | S5 | 1 | 40 | USD | 2024-01-01 | 2024-03-15
                I8 | S5 | 1 | 40 | USD | 2024-11-15 | -
                I9 | S6 | 1 | 500 | USD | 2024-02-01 | -",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-01 | 1.00
                EUR | 2024-12-01 | 1.10",
            ),
        ],
    )
    .await;
    // E6 is in it a year after 2024-02: (360 + 500) / (400 + 500) and (310 + 500) / 900.
    company
        .assert(
            "select month, nrr_12m, grr_12m from nrr where month >= date '2024-12-01' order by month",
            "2024-12-01 | - | -
             2025-01-01 | 0.9 | 0.775
             2025-02-01 | 0.955556 | 0.9",
        )
        .await;
    company
        .assert(
            "select segment, nrr_12m, grr_12m from nrr_by_segment where month = date '2025-01-01' order by segment",
            "(none) | 0.526316 | 0.526316
             enterprise | 1 | 1
             smb | 1.5 | 1",
        )
        .await;
}
