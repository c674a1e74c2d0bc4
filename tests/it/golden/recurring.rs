//! Recurring revenue: what an item is worth a month, when it counts, and the bridge from month to month.

use super::{Company, company};

/// Customers E1 to E4 have one subscription each, S1 to S4.
async fn billed(items: &str, accounts: &str) -> Company {
    company(
        "2024-07-01T00:00:00Z",
        &[
            ("crm.accounts", accounts),
            (
                "billing.customers",
                "customer_id | account_id
                E1 | A1
                E2 | A2
                E3 | -
                E4 | -",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | E1 | active | 2024-01-01
                S2 | E2 | active | 2024-01-01
                S3 | E3 | active | 2024-01-01
                S4 | E4 | active | 2024-01-01",
            ),
            ("billing.subscription_items", items),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-31 | 1.00
                EUR | 2024-03-10 | 1.10
                EUR | 2024-04-30 | 1.20",
            ),
        ],
    )
    .await
}

/// E1: 100, 150, 120, nothing, nothing, 80. E2: 100 EUR. E3: 10 USD and 10 EUR, then 30 USD. E4: 50 EUR until March.
const ITEMS: &str = "
    item_id | subscription_id | quantity | unit_amount | currency | effective_from | effective_to
    I1 | S1 | 1 | 100 | USD | 2024-01-10 | 2024-02-05
    I2 | S1 | 3 | 50 | USD | 2024-02-05 | 2024-03-05
    I3 | S1 | 1 | 120 | USD | 2024-03-05 | 2024-04-30
    I4 | S1 | 1 | 80 | USD | 2024-06-30 | -
    I5 | S2 | 1 | 100 | EUR | 2024-01-31 | -
    I6 | S3 | 1 | 10 | USD | 2024-02-01 | 2024-04-01
    I7 | S3 | 1 | 10 | EUR | 2024-02-29 | 2024-04-10
    I8 | S3 | 1 | 30 | USD | 2024-04-01 | -
    I9 | S4 | 1 | 50 | EUR | 2024-01-31 | 2024-03-10
    LATE | S4 | 1 | 999 | USD | 2024-07-01 | -";

const ACCOUNTS: &str = "account_id | segment
    A1 | smb
    A2 | -";

#[tokio::test]
async fn every_movement_of_an_entity() {
    // E2: 100 EUR at 1.00, 1.10, 1.20: 10.00 of exchange rates a month, never expansion.
    // E3 in April: opening 10 + 11 = 21, closing 30; change (30 - 10) + (0 - 10) x 1.20 = 8, fx 30 - 21 - 8 = 1.
    // E4 in March: change -50 x 1.10 = -55, fx 0 - 50 + 55 = 5.
    let company = billed(ITEMS, ACCOUNTS).await;
    company
        .assert(
            "select account_id, segment, month, opening, movement, change, fx, closing from mrr
             order by account_id, month",
            "A1 | smb | 2024-01-01 | 0.00 | new | 100.00 | 0.00 | 100.00
             A1 | smb | 2024-02-01 | 100.00 | expansion | 50.00 | 0.00 | 150.00
             A1 | smb | 2024-03-01 | 150.00 | contraction | -30.00 | 0.00 | 120.00
             A1 | smb | 2024-04-01 | 120.00 | churn | -120.00 | 0.00 | 0.00
             A1 | smb | 2024-06-01 | 0.00 | reactivation | 80.00 | 0.00 | 80.00
             A2 | - | 2024-01-01 | 0.00 | new | 100.00 | 0.00 | 100.00
             A2 | - | 2024-02-01 | 100.00 | none | 0.00 | 0.00 | 100.00
             A2 | - | 2024-03-01 | 100.00 | none | 0.00 | 10.00 | 110.00
             A2 | - | 2024-04-01 | 110.00 | none | 0.00 | 10.00 | 120.00
             A2 | - | 2024-05-01 | 120.00 | none | 0.00 | 0.00 | 120.00
             A2 | - | 2024-06-01 | 120.00 | none | 0.00 | 0.00 | 120.00
             billing:E3 | - | 2024-02-01 | 0.00 | new | 20.00 | 0.00 | 20.00
             billing:E3 | - | 2024-03-01 | 20.00 | none | 0.00 | 1.00 | 21.00
             billing:E3 | - | 2024-04-01 | 21.00 | expansion | 8.00 | 1.00 | 30.00
             billing:E3 | - | 2024-05-01 | 30.00 | none | 0.00 | 0.00 | 30.00
             billing:E3 | - | 2024-06-01 | 30.00 | none | 0.00 | 0.00 | 30.00
             billing:E4 | - | 2024-01-01 | 0.00 | new | 50.00 | 0.00 | 50.00
             billing:E4 | - | 2024-02-01 | 50.00 | none | 0.00 | 0.00 | 50.00
             billing:E4 | - | 2024-03-01 | 50.00 | churn | -55.00 | 5.00 | 0.00",
        )
        .await;
}

#[tokio::test]
async fn the_bridge_closes_every_month() {
    // March: 320 - 30 - 55 + (10 + 1 + 5) = 251. April: 251 + 8 - 120 + (10 + 1) = 150. May is a row without movement.
    let company = billed(ITEMS, ACCOUNTS).await;
    company
        .assert(
            "select * from mrr_movements order by month",
            "2024-01-01 | 0.00 | 250.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 250.00 | 0 | 3 | 0 | 0 | 3 | true
             2024-02-01 | 250.00 | 20.00 | 50.00 | 0.00 | 0.00 | 0.00 | 0.00 | 320.00 | 3 | 1 | 0 | 0 | 4 | true
             2024-03-01 | 320.00 | 0.00 | 0.00 | 30.00 | 55.00 | 0.00 | 16.00 | 251.00 | 4 | 0 | 1 | 0 | 3 | true
             2024-04-01 | 251.00 | 0.00 | 8.00 | 0.00 | 120.00 | 0.00 | 11.00 | 150.00 | 3 | 0 | 1 | 0 | 2 | true
             2024-05-01 | 150.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 150.00 | 2 | 0 | 0 | 0 | 2 | true
             2024-06-01 | 150.00 | 0.00 | 0.00 | 0.00 | 0.00 | 80.00 | 0.00 | 230.00 | 2 | 0 | 0 | 1 | 3 | true",
        )
        .await;
    company
        .assert(
            "select * from arpa where month >= date '2024-05-01' order by month",
            "2024-05-01 | 150.00 | 2 | 75 | true
             2024-06-01 | 230.00 | 3 | 76.666667 | true",
        )
        .await;
}

#[tokio::test]
async fn retention_is_at_the_rates_of_the_month() {
    // March: what opened is worth 150 + 110 + 21 + 55 = 336 now, 251 is left. April: 120 + 120 + 22 = 262, 150 is left.
    let company = billed(ITEMS, ACCOUNTS).await;
    company
        .assert(
            "select month, opening, expansion, contraction, churn, nrr, grr, logo_churn_rate, gross_churn_rate, nrr_12m
             from nrr where month < date '2024-05-01' order by month",
            "2024-01-01 | 0.00 | 0.00 | 0.00 | 0.00 | - | - | - | - | -
             2024-02-01 | 250.00 | 50.00 | 0.00 | 0.00 | 1.2 | 1 | 0 | 0 | -
             2024-03-01 | 336.00 | 0.00 | 30.00 | 55.00 | 0.747024 | 0.747024 | 0.25 | 0.252976 | -
             2024-04-01 | 262.00 | 8.00 | 0.00 | 120.00 | 0.572519 | 0.541985 | 0.333333 | 0.458015 | -",
        )
        .await;
    company
        .assert(
            "select segment, opening, expansion, contraction, churn, nrr, grr from nrr_by_segment
             where month in (date '2024-03-01', date '2024-05-01') order by month, segment",
            "(none) | 186.00 | 0.00 | 0.00 | 55.00 | 0.704301 | 0.704301
             smb | 150.00 | 0.00 | 30.00 | 0.00 | 0.8 | 0.8
             (none) | 150.00 | 0.00 | 0.00 | 0.00 | 1 | 1
             smb | 0.00 | 0.00 | 0.00 | 0.00 | - | -",
        )
        .await;
}

#[tokio::test]
async fn a_month_that_is_not_over_ends_at_as_of() {
    // At the start of 2024-03-05 the item of 150 is over and that of 120 has not started: effective_from is not before
    // the end. A microsecond later it has.
    let company = billed(ITEMS, ACCOUNTS).await;
    let sql =
        "select month, movement, change, is_complete from mrr where account_id = 'A1' and month > date '2024-02-01'";
    let at = |instant| [("reporting.as_of", instant)];
    company.assert_with(&at("2024-03-05T00:00:00Z"), sql, "2024-03-01 | none | 0.00 | false").await;
    company.assert_with(&at("2024-03-05T00:00:00.000001Z"), sql, "2024-03-01 | contraction | -30.00 | false").await;
}

#[tokio::test]
async fn an_amount_is_brought_to_one_month_and_rounded_once() {
    // 1000 a year: 83.333; 1000 every 2 years: 41.667; 10 a week: 43.333; 10 every 2 weeks: 21.667; 1 a day: 30.41667;
    // 100 a quarter: 33.333; 99.99 less 10 %: 89.991; 0.01 less 50 %: 0.005, half a cent away from zero; 3 x 0.0015:
    // 0.0045; -5 counts as 0, and so does GBP without a rate.
    let company = company(
        "2024-02-01T00:00:00Z",
        &[
            ("billing.customers", "customer_id
                C0
                C1
                C2
                C3
                C4
                C5
                C6
                C7
                C8
                C9
                CX"),
            ("billing.subscriptions", "subscription_id | customer_id | status | started_at
                S0 | C0 | active | 2024-01-01
                S1 | C1 | active | 2024-01-01
                S2 | C2 | active | 2024-01-01
                S3 | C3 | active | 2024-01-01
                S4 | C4 | active | 2024-01-01
                S5 | C5 | active | 2024-01-01
                S6 | C6 | active | 2024-01-01
                S7 | C7 | active | 2024-01-01
                S8 | C8 | active | 2024-01-01
                S9 | C9 | active | 2024-01-01
                SX | CX | active | 2024-01-01
                SY | NOBODY | active | 2023-01-01"),
            ("billing.subscription_items", "item_id | subscription_id | quantity | unit_amount | currency | interval | interval_count | discount_pct | effective_from
                I0 | S0 | 1 | 1000 | USD | year | 1 | - | 2024-01-01
                I1 | S1 | 1 | 1000 | USD | year | 2 | - | 2024-01-01
                I2 | S2 | 1 | 10 | USD | week | 1 | - | 2024-01-01
                I3 | S3 | 1 | 10 | USD | week | 2 | - | 2024-01-01
                I4 | S4 | 1 | 1 | USD | day | 1 | - | 2024-01-01
                I5 | S5 | 1 | 100 | USD | month | 3 | - | 2024-01-01
                I6 | S6 | 1 | 99.99 | USD | month | 1 | 10 | 2024-01-01
                I7 | S7 | 1 | 0.01 | USD | month | 1 | 50 | 2024-01-01
                I8 | S8 | 3 | 0.0015 | USD | month | 1 | - | 2024-01-01
                I9 | S9 | 1 | -5 | USD | month | 1 | - | 2024-01-01
                IX | SX | 1 | 5 | GBP | month | 1 | - | 2024-01-01
                IY | SY | 1 | 7 | USD | month | 1 | - | 2023-01-01"),
        ],
    )
    .await;
    company
        .assert(
            "select account_id, closing from mrr order by account_id",
            "billing:C0 | 83.33
             billing:C1 | 41.67
             billing:C2 | 43.33
             billing:C3 | 21.67
             billing:C4 | 30.42
             billing:C5 | 33.33
             billing:C6 | 89.99
             billing:C7 | 0.01",
        )
        .await;
    // The spine starts with the first item whose customer exists.
    company.assert("select month, customers from arpa", "2024-01-01 | 8").await;
}

#[tokio::test]
async fn a_subscription_counts_from_its_trial_to_its_end() {
    // Months in which each has revenue at the end, of 2024-01 to 2024-05; an end at the very end of February still
    // counts in February, and February has 29 days. A deleted customer counts.
    let company = company(
        "2024-06-01T00:00:00Z",
        &[
            (
                "billing.customers",
                "customer_id | is_deleted
                C0 | true",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at | trial_ends_at | canceled_at | ended_at
                TRIAL_OVER | C0 | active | 2024-01-01 | 2024-02-10 | - | -
                TRIAL_EDGE | C0 | active | 2024-01-01 | 2024-03-01 | - | -
                IN_TRIAL | C0 | trialing | 2024-01-01 | 2024-09-01 | - | -
                INCOMPLETE | C0 | incomplete | 2024-01-01 | - | - | -
                EXPIRED | C0 | incomplete_expired | 2024-01-01 | - | - | -
                STARTS | C0 | active | 2024-03-15 | - | - | -
                SCHEDULED | C0 | active | 2024-01-01 | - | 2024-03-15 | -
                ENDS_LATER | C0 | active | 2024-01-01 | - | 2024-03-15 | 2024-09-01
                CANCELED | C0 | canceled | 2024-01-01 | - | 2024-03-15 | -
                UNPAID | C0 | unpaid | 2024-01-01 | - | 2024-03-15 | -
                UNDATED | C0 | canceled | 2024-01-01 | - | - | -
                ENDED | C0 | canceled | 2024-01-01 | - | 2024-02-01 | 2024-03-15
                END_EDGE | C0 | canceled | 2024-01-01 | - | - | 2024-03-01
                LEAP | C0 | active | 2024-01-01 | - | - | -",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | effective_from | effective_to
                TRIAL_OVER | TRIAL_OVER | 1 | 1 | 2023-12-01 | -
                TRIAL_EDGE | TRIAL_EDGE | 1 | 1 | 2024-01-01 | -
                IN_TRIAL | IN_TRIAL | 1 | 1 | 2024-01-01 | -
                INCOMPLETE | INCOMPLETE | 1 | 1 | 2024-01-01 | -
                EXPIRED | EXPIRED | 1 | 1 | 2024-01-01 | -
                STARTS | STARTS | 1 | 1 | 2024-01-01 | -
                SCHEDULED | SCHEDULED | 1 | 1 | 2024-01-01 | -
                ENDS_LATER | ENDS_LATER | 1 | 1 | 2024-01-01 | -
                CANCELED | CANCELED | 1 | 1 | 2024-01-01 | -
                UNPAID | UNPAID | 1 | 1 | 2024-01-01 | -
                UNDATED | UNDATED | 1 | 1 | 2024-01-01 | -
                ENDED | ENDED | 1 | 1 | 2024-01-01 | -
                END_EDGE | END_EDGE | 1 | 1 | 2024-01-01 | -
                LEAP | LEAP | 1 | 1 | 2024-02-29 | 2024-03-01",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select items.item_id, min(spine.month) as first_month, max(spine.month) as last_month, count(*) as months
             from core.mrr_items as items
             inner join core.mrr_spine as spine
                 on spine.month >= month_of(items.first_day)
                 and (items.end_day is null or spine.month < month_of(items.end_day))
             group by items.item_id order by items.item_id",
            "CANCELED | 2024-01-01 | 2024-02-01 | 2
             ENDED | 2024-01-01 | 2024-02-01 | 2
             ENDS_LATER | 2024-01-01 | 2024-05-01 | 5
             END_EDGE | 2024-01-01 | 2024-02-01 | 2
             LEAP | 2024-02-01 | 2024-02-01 | 1
             SCHEDULED | 2024-01-01 | 2024-05-01 | 5
             STARTS | 2024-03-01 | 2024-05-01 | 3
             TRIAL_EDGE | 2024-03-01 | 2024-05-01 | 3
             TRIAL_OVER | 2024-02-01 | 2024-05-01 | 4
             UNDATED | 2024-01-01 | 2024-05-01 | 5
             UNPAID | 2024-01-01 | 2024-02-01 | 2",
        )
        .await;
    // The same in sums; the spine starts with the item of 2023-12, in a month without a customer.
    company
        .assert(
            "select * from arpa order by month",
            "2023-12-01 | 0.00 | 0 | - | true
             2024-01-01 | 7.00 | 1 | 7 | true
             2024-02-01 | 9.00 | 1 | 9 | true
             2024-03-01 | 6.00 | 1 | 6 | true
             2024-04-01 | 6.00 | 1 | 6 | true
             2024-05-01 | 6.00 | 1 | 6 | true",
        )
        .await;
}

#[tokio::test]
async fn a_month_ends_where_the_next_one_begins_even_without_a_midnight() {
    // In Asuncion 2017-10-01 has no 00:00: the clocks went from UTC-4 to UTC-3 there, at 04:00 UTC, where September ends.
    let company = company(
        "2017-11-01T03:00:00Z",
        &[
            (
                "billing.customers",
                "customer_id
                C1
                C2",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | C1 | active | 2017-10-01T03:59:59.999999Z
                S2 | C2 | active | 2017-10-01T04:00:00Z",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | effective_from
                I1 | S1 | 1 | 5 | 2017-09-01
                I2 | S2 | 1 | 5 | 2017-09-01",
            ),
        ],
    )
    .await;
    company
        .assert_with(
            &[("reporting.timezone", "America/Asuncion")],
            "select month, account_id, movement, is_complete from mrr order by account_id, month",
            "2017-09-01 | billing:C1 | new | true
             2017-10-01 | billing:C1 | none | true
             2017-10-01 | billing:C2 | new | true",
        )
        .await;
}
