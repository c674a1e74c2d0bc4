//! What a channel brings for what it costs.

use super::company;

#[tokio::test]
async fn a_channel_is_set_against_what_it_brings() {
    // January: D1 is created after a paid touch; 5.00 of cost has no customer to be shared by. February: D1 is won over
    // paid and email, which share 10.00; D2 is created without a touch.
    let company = company(
        "2025-03-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 100.00 | 2025-01-20 | 2025-02-10 | true | true
                D2 | A2 | 60.00 | 2025-02-05 | - | false | false",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | paid | 2025-01-10
                T2 | A1 | email | 2025-02-01",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount
                2025-01-03 | C1 | paid | 20.00
                2025-02-03 | C1 | paid | 30.00",
            ),
            (
                "finance.costs",
                "month | department | channel | amount | currency
                2025-01-01 | sales | - | 5.00 | USD
                2025-02-01 | sales | - | 10.00 | USD",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from marketing_pnl order by month, channel",
            "2025-01-01 | (all) | 20.00 | 5.00 | 25.00 | 100.00 | 0.00 | 0 | - | 0 | true
             2025-01-01 | (unallocated) | 0.00 | 5.00 | 5.00 | 0.00 | 0.00 | 0 | - | 0 | true
             2025-01-01 | paid | 20.00 | 0.00 | 20.00 | 100.00 | 0.00 | 0 | - | 0 | true
             2025-02-01 | (all) | 30.00 | 10.00 | 40.00 | 60.00 | 100.00 | 1 | 40 | 2.5 | true
             2025-02-01 | (unattributed) | 0.00 | 0.00 | 0.00 | 60.00 | 0.00 | 0 | - | - | true
             2025-02-01 | email | 0.00 | 5.00 | 5.00 | 0.00 | 50.00 | 0.5 | 10 | 10 | true
             2025-02-01 | paid | 30.00 | 5.00 | 35.00 | 0.00 | 50.00 | 0.5 | 70 | 1.428571 | true",
        )
        .await;
    let of_february = "select channel, cost, attributed_pipeline, attributed_revenue, new_customers from marketing_pnl
         where month = date '2025-02-01' order by channel";
    company
        .assert_with(
            &[("cac.model", "last_touch")],
            of_february,
            "(all) | 40.00 | 60.00 | 100.00 | 1
             (unattributed) | 0.00 | 60.00 | 0.00 | 0
             email | 10.00 | 0.00 | 100.00 | 1
             paid | 30.00 | 0.00 | 0.00 | 0",
        )
        .await;
    // full_path: T1 carries the first step, the creation of the deal; T2 the last one. No deal has a last step before.
    company
        .assert_with(&[("cac.model", "full_path")], "select distinct attributed_pipeline from marketing_pnl", "-")
        .await;
}
