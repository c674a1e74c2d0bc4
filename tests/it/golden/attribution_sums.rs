//! Attribution by channel and campaign, beside ad spend.

use super::company;

#[tokio::test]
async fn channels_and_campaigns_stand_beside_their_spend() {
    // January: 100.00 over T1 to T4, 25.00 each, and 8.00 without a touch. Spend: 40.00 + 10 EUR x 1.105 = 11.05 on
    // paid, 5.00 on display, which earned nothing; GBP has no rate. Spend of the day of as_of is not known yet.
    let company = company(
        "2025-02-10T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 100.00 | 2025-01-01 | 2025-01-31 | true | true
                D2 | A2 | 8.00 | 2025-01-01 | 2025-01-31 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | campaign_id | touched_at
                T1 | A1 | paid | C1 | 2025-01-11
                T2 | A1 | paid | C2 | 2025-01-12
                T3 | A1 | email | C2 | 2025-01-13
                T4 | A1 | direct | - | 2025-01-14",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount | currency
                2025-01-01 | C1 | paid | 40.00 | USD
                2025-01-31 | C1 | paid | 10.00 | EUR
                2025-01-31 | C2 | paid | 7.00 | GBP
                2025-01-15 | C3 | display | 5.00 | USD
                2025-02-09 | C3 | display | 6.00 | USD
                2025-02-10 | C3 | display | 900.00 | USD",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-20 | 1.105",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select month, channel, conversions, revenue, spend, roas, is_complete from attribution_by_channel
             where model = 'linear' order by month, channel",
            "2025-01-01 | (unattributed) | 1 | 8.00 | 0.00 | - | true
             2025-01-01 | direct | 0.25 | 25.00 | 0.00 | - | true
             2025-01-01 | display | 0 | 0.00 | 5.00 | 0 | true
             2025-01-01 | email | 0.25 | 25.00 | 0.00 | - | true
             2025-01-01 | paid | 0.5 | 50.00 | 51.05 | 0.979432 | true
             2025-02-01 | display | 0 | 0.00 | 6.00 | 0 | false",
        )
        .await;
    company
        .assert(
            "select campaign_id, conversions, revenue, spend, roas from attribution_by_campaign
             where model = 'linear' and month = date '2025-01-01' order by campaign_id",
            "(none) | 0.25 | 25.00 | 0.00 | -
             (unattributed) | 1 | 8.00 | 0.00 | -
             C1 | 0.25 | 25.00 | 51.05 | 0.489716
             C2 | 0.5 | 50.00 | 0.00 | -
             C3 | 0 | 0.00 | 5.00 | 0",
        )
        .await;
    company
        .assert(
            "select model, spend from attribution_by_channel where month = date '2025-02-01' order by model",
            "first_touch | 6.00
             full_path | 6.00
             last_non_direct | 6.00
             last_touch | 6.00
             linear | 6.00
             markov | 6.00
             position_based | 6.00
             shapley | 6.00
             time_decay | 6.00
             u_shaped_hubspot | 6.00
             u_shaped_marketo | 6.00
             w_shaped | 6.00",
        )
        .await;
}

#[tokio::test]
async fn month_and_rate_are_those_of_the_local_day() {
    // 02:59:59 of 2025-02-01 in UTC is 23:59:59 of 2025-01-31 in Sao Paulo, where January's rate still holds.
    let company = company(
        "2025-03-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | currency | created_at | closed_at | is_closed | is_won
                D1 | A1 | 100.00 | EUR | 2025-01-01 | 2025-02-01T02:59:59Z | true | true
                D2 | A1 | 100.00 | EUR | 2025-01-01 | 2025-02-01T03:00:00Z | true | true",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-01 | 1.10
                EUR | 2025-02-01 | 1.20",
            ),
        ],
    )
    .await;
    let sql = "select opportunity_id, month, credit from attribution where model = 'linear' order by opportunity_id";
    company
        .assert(
            sql,
            "D1 | 2025-02-01 | 120.00
             D2 | 2025-02-01 | 120.00",
        )
        .await;
    company
        .assert_with(
            &[("reporting.timezone", "America/Sao_Paulo")],
            sql,
            "D1 | 2025-01-01 | 110.00
             D2 | 2025-02-01 | 120.00",
        )
        .await;
}
