//! Cost of a new customer: cost over channels to the cent, months without customers, and cost that lags.

use super::{Company, company};

async fn acquiring() -> Company {
    // January has three customers, one a channel. February has none: A1's second deal makes no customer, and D5 has no
    // account. March has one, over two channels, and is not over. The cost of April is later than as_of.
    company(
        "2025-03-16T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3\nA4"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 10.00 | 2025-01-01 | 2025-01-31 | true | true
                D2 | A2 | 10.00 | 2025-01-01 | 2025-01-31 | true | true
                D3 | A3 | 10.00 | 2025-01-01 | 2025-01-31 | true | true
                D4 | A1 | 10.00 | 2025-01-01 | 2025-02-28 | true | true
                D5 | - | 10.00 | 2025-01-01 | 2025-02-28 | true | true
                D6 | A4 | 10.00 | 2025-03-01 | 2025-03-10 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | content | 2025-01-10
                T2 | A2 | email | 2025-01-10
                T4 | A4 | email | 2025-03-08
                T5 | A4 | paid | 2025-03-09",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount
                2025-01-20 | C1 | paid | 30.00
                2025-02-20 | C1 | paid | 20.00",
            ),
            (
                "finance.costs",
                "month | department | channel | amount | currency
                2025-01-01 | sales | - | 100.00 | USD
                2025-01-01 | marketing | email | 7.00 | USD
                2025-02-01 | sales | - | 50.00 | EUR
                2025-02-01 | sales | - | 9.00 | GBP
                2025-03-01 | sales | - | 0.01 | USD
                2025-04-01 | sales | - | 999.00 | USD",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-15 | 1.01",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn cost_over_customers_by_month() {
    // January: 30 + 107 over 3 = 45.666667. February: 20 + 50 EUR x 1.01 = 50.50, nobody to share it. March: 0.01.
    let company = acquiring().await;
    company
        .assert(
            "select * from cac order by month",
            "2025-01-01 | 30.00 | 107.00 | 137.00 | 3 | 45.666667 | true
             2025-02-01 | 20.00 | 50.50 | 70.50 | 0 | - | true
             2025-03-01 | 0.00 | 0.01 | 0.01 | 1 | 0.01 | false",
        )
        .await;
}

#[tokio::test]
async fn shared_cost_goes_to_channels_to_the_cent() {
    // January, 100.00 over three customers in the order of names: C = 33.33, 66.67, 100.00. paid has spend and no
    // customer; A3 has no touch. March, 0.01 over two halves: C = 0.01, 0.01.
    let company = acquiring().await;
    company
        .assert(
            "select month, channel, ad_spend, channel_cost, allocated_cost, acquisition_cost, new_customers, paid_cac, cac
             from cac_by_channel where model = 'linear' order by month, channel",
            "2025-01-01 | (unattributed) | 0.00 | 0.00 | 33.33 | 33.33 | 1 | 0 | 33.33
             2025-01-01 | content | 0.00 | 0.00 | 33.34 | 33.34 | 1 | 0 | 33.34
             2025-01-01 | email | 0.00 | 7.00 | 33.33 | 40.33 | 1 | 0 | 40.33
             2025-01-01 | paid | 30.00 | 0.00 | 0.00 | 30.00 | 0 | - | -
             2025-02-01 | (unallocated) | 0.00 | 0.00 | 50.50 | 50.50 | 0 | - | -
             2025-02-01 | paid | 20.00 | 0.00 | 0.00 | 20.00 | 0 | - | -
             2025-03-01 | email | 0.00 | 0.00 | 0.01 | 0.01 | 0.5 | 0 | 0.02
             2025-03-01 | paid | 0.00 | 0.00 | 0.00 | 0.00 | 0.5 | 0 | 0",
        )
        .await;
    company
        .assert(
            "select channel, allocated_cost, new_customers from cac_by_channel
             where model = 'last_touch' and month = date '2025-03-01'",
            "paid | 0.01 | 1",
        )
        .await;
}

#[tokio::test]
async fn cost_that_lags_stands_in_the_month_of_the_customers() {
    // One month later: January keeps its customers alone, March gets February's 70.50, March's 0.01 falls out.
    let company = acquiring().await;
    company
        .assert_with(
            &[("cac.cost_lag_months", "1")],
            "select month, ad_spend, other_cost, acquisition_cost, new_customers, cac from cac order by month",
            "2025-01-01 | 0.00 | 0.00 | 0.00 | 3 | 0
             2025-02-01 | 30.00 | 107.00 | 137.00 | 0 | -
             2025-03-01 | 20.00 | 50.50 | 70.50 | 1 | 70.5",
        )
        .await;
    company
        .assert_with(
            &[("cac.cost_lag_months", "1")],
            "select month, channel, acquisition_cost, new_customers from cac_by_channel
             where model = 'linear' and month > date '2025-01-01' order by month, channel",
            "2025-02-01 | (unallocated) | 100.00 | 0
             2025-02-01 | email | 7.00 | 0
             2025-02-01 | paid | 30.00 | 0
             2025-03-01 | email | 25.25 | 0.5
             2025-03-01 | paid | 45.25 | 0.5",
        )
        .await;
}
