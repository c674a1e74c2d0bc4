//! Pipeline by creation, velocity, win rates, cohorts, and what is open: months and weeks without deals, a leap day, two
//! currencies, deals that are closed without an instant, at as_of, or before they were created.

use super::{Company, company};

const DEALS: &str = "
    opportunity_id | type | stage | amount | currency | probability | created_at | close_date | closed_at | is_closed | is_won
    D01 | new | propose | 100.00 | USD | 1 | 2024-01-10 | 2024-01-20 | 2024-01-20 | true | true
    D02 | expansion | won | 200.00 | EUR | 1 | 2024-01-15 | 2024-02-29 | 2024-02-29 | true | true
    D03 | new | lost | 50.00 | USD | 0 | 2024-01-31 | 2024-02-29 | 2024-02-29 | true | false
    D04 | renewal | limbo | - | USD | 0.5 | 2024-02-01 | 2024-05-31 | - | false | false
    D05 | new | lost | 30.00 | USD | 0 | 2024-02-10 | 2024-03-31 | - | true | false
    D06 | new | won | 70.00 | USD | 1 | 2024-02-20 | 2024-04-20 | 2024-04-16T12:00:00 | true | true
    D07 | new | limbo | 80.00 | GBP | 0 | 2024-04-01 | 2024-05-31 | 2024-04-11 | true | false
    D08 | new | qualify | 999.00 | USD | 1 | 2024-04-16T12:00:00 | 2024-05-31 | - | false | false
    D10 | new | qualify | 10.00 | EUR | 0.25 | 2024-02-01 | - | 2024-02-15 | false | false
    D11 | new | qualify | 5.00 | USD | 0 | 2024-04-10 | 2024-05-31 | 2024-02-05 | true | false
    D12 | new | won | 40.00 | USD | 1 | 2024-04-01 | 2024-04-01 | 2024-04-01 | true | true";

/// January has three deals, February four, March none; April is not over.
async fn selling() -> Company {
    company(
        "2024-04-16T12:00:00Z",
        &[
            ("crm.opportunities", DEALS),
            (
                "crm.opportunity_history",
                "opportunity_id | changed_at | stage | amount
                D02 | 2024-01-15 | qualify | 150.00
                D02 | 2024-02-20 | propose | 200.00
                D02 | 2024-04-16T12:00:00 | negotiate | 1.00
                D10 | 2024-02-01 | qualify | -
                D12 | 2024-04-05 | propose | 40.00",
            ),
            (
                "crm.stages",
                "stage | position | is_closed | is_won
                qualify | 1 | false | false
                propose | 2 | false | false
                won | 3 | true | true
                lost | 4 | true | false",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-01 | 1.10
                EUR | 2024-02-15 | 1.20
                EUR | 2024-04-17 | 9.99",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn deals_count_by_creation_with_their_first_amount() {
    // January: 100 + 150 EUR x 1.10 + 50. February: no amount, 30, 70, and 10 EUR x 1.10, as the history says none.
    // April: 80 GBP without a rate, 5, 40; D08 is created at as_of.
    let company = selling().await;
    company
        .assert(
            "select * from pipeline_created order by month",
            "2024-01-01 | 3 | 315.00 | true
             2024-02-01 | 4 | 111.00 | true
             2024-03-01 | 0 | 0.00 | true
             2024-04-01 | 3 | 45.00 | false",
        )
        .await;
    company
        .assert(
            "select * from pipeline_created_weekly order by week",
            "2024-01-08 | 1 | 100.00 | true
             2024-01-15 | 1 | 165.00 | true
             2024-01-22 | 0 | 0.00 | true
             2024-01-29 | 3 | 61.00 | true
             2024-02-05 | 1 | 30.00 | true
             2024-02-12 | 0 | 0.00 | true
             2024-02-19 | 1 | 70.00 | true
             2024-02-26 | 0 | 0.00 | true
             2024-03-04 | 0 | 0.00 | true
             2024-03-11 | 0 | 0.00 | true
             2024-03-18 | 0 | 0.00 | true
             2024-03-25 | 0 | 0.00 | true
             2024-04-01 | 2 | 40.00 | true
             2024-04-08 | 1 | 5.00 | true
             2024-04-15 | 0 | 0.00 | false",
        )
        .await;
    company
        .assert_with(
            &[("reporting.week_start", "sunday")],
            "select week, opportunities from pipeline_created_weekly where week < date '2024-02-01' order by week",
            "2024-01-07 | 1
             2024-01-14 | 1
             2024-01-21 | 0
             2024-01-28 | 3",
        )
        .await;
}

#[tokio::test]
async fn velocity_is_deals_times_rate_times_amount_over_days() {
    // January: 3 x 1 x 100 / 10 = 30. February: D02 won with 240 after 45 days, D03 lost after 29, D11 lost before it
    // was created: (2 + 4) x 1/3 x 240 / 45. March opens with D04, D06 and D10; D05 never was open. April: D12 won on
    // the instant of its creation, D07 lost after 10 days; D06 is open until as_of.
    let company = selling().await;
    company
        .assert(
            "select * from pipeline_velocity order by month",
            "2024-01-01 | 0 | 3 | 1 | 0 | 1 | 100 | 10 | 10 | 30 | true
             2024-02-01 | 2 | 4 | 1 | 2 | 0.333333 | 240 | 45 | 37 | 10.666667 | true
             2024-03-01 | 3 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-04-01 | 3 | 3 | 1 | 1 | 0.5 | 40 | 0 | 5 | - | false",
        )
        .await;
    company
        .assert(
            "select * from pipeline_velocity_weekly
             where week in (date '2024-02-05', date '2024-02-26', date '2024-03-18') or week > date '2024-03-31'
             order by week",
            "2024-02-05 | 4 | 1 | 0 | 1 | 0 | - | - | - | - | true
             2024-02-26 | 5 | 0 | 1 | 1 | 0.5 | 240 | 45 | 37 | 13.333333 | true
             2024-03-18 | 3 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-04-01 | 3 | 2 | 1 | 0 | 1 | 40 | 0 | 0 | - | true
             2024-04-08 | 4 | 1 | 0 | 1 | 0 | - | - | 10 | - | true
             2024-04-15 | 3 | 0 | 0 | 0 | - | - | - | - | - | false",
        )
        .await;
}

#[tokio::test]
async fn a_deal_counts_in_every_stage_that_it_was_in() {
    // D02 was in qualify and propose by its history, D12 in propose after it was won; the rest in today's stage. D03 was
    // in closed stages only, limbo is in no list of stages, and negotiate came at as_of.
    let company = selling().await;
    company
        .assert(
            "select * from win_rate_by_stage order by month, stage",
            "2024-01-01 | limbo | - | 0 | 0 | 0 | - | true
             2024-01-01 | propose | 2 | 1 | 1 | 0 | 1 | true
             2024-01-01 | qualify | 1 | 0 | 0 | 0 | - | true
             2024-02-01 | limbo | - | 0 | 0 | 0 | - | true
             2024-02-01 | propose | 2 | 1 | 1 | 0 | 1 | true
             2024-02-01 | qualify | 1 | 2 | 1 | 1 | 0.5 | true
             2024-03-01 | limbo | - | 0 | 0 | 0 | - | true
             2024-03-01 | propose | 2 | 0 | 0 | 0 | - | true
             2024-03-01 | qualify | 1 | 0 | 0 | 0 | - | true
             2024-04-01 | limbo | - | 1 | 0 | 1 | 0 | false
             2024-04-01 | propose | 2 | 1 | 1 | 0 | 1 | false
             2024-04-01 | qualify | 1 | 0 | 0 | 0 | - | false",
        )
        .await;
    company
        .assert(
            "select week, stage, entered, won, lost from win_rate_by_stage_weekly where entered > 0 order by week, stage",
            "2024-01-15 | propose | 1 | 1 | 0
             2024-02-05 | qualify | 1 | 0 | 1
             2024-02-26 | propose | 1 | 1 | 0
             2024-02-26 | qualify | 1 | 1 | 0
             2024-04-01 | propose | 1 | 1 | 0
             2024-04-08 | limbo | 1 | 0 | 1",
        )
        .await;
    // Fourteen weeks from that of January 20, with three stages each.
    company
        .assert("select count(*), min(week), max(week) from win_rate_by_stage_weekly", "42 | 2024-01-15 | 2024-04-15")
        .await;
}

#[tokio::test]
async fn a_cohort_keeps_its_month_whenever_it_is_won() {
    // January won 100 + 240 of 315. February has D04 without an amount, D06 and D10 open: 70 + 11. D05 is neither.
    let company = selling().await;
    company
        .assert(
            "select * from pipeline_conversion order by cohort_month",
            "2024-01-01 | 3 | 315.00 | 340.00 | 0.00 | 1.079365 | true | true
             2024-02-01 | 4 | 111.00 | 0.00 | 81.00 | 0 | false | true
             2024-03-01 | 0 | 0.00 | 0.00 | 0.00 | - | true | true
             2024-04-01 | 3 | 45.00 | 40.00 | 0.00 | 0.888889 | true | false",
        )
        .await;
}

#[tokio::test]
async fn what_is_open_stands_by_stage_and_close_month() {
    // D10 is 10 EUR at 1.20, the last rate before as_of, a quarter of it likely. D06 is closed at as_of: still open.
    let company = selling().await;
    company
        .assert(
            "select * from open_pipeline order by stage",
            "limbo | - | 2024-05-01 | 1 | 0.00 | 0.00
             qualify | 1 | - | 1 | 12.00 | 3.00
             won | 3 | 2024-04-01 | 1 | 70.00 | 70.00",
        )
        .await;
}

#[tokio::test]
async fn deals_by_month_follow_the_time_zone() {
    // 2024-03-01T03:00Z is February 29 in New York, where D2 closes in February and D1 on March 1.
    let company = company(
        "2024-03-15T00:00:00Z",
        &[(
            "crm.opportunities",
            "opportunity_id | amount | created_at | closed_at | is_closed | is_won
             D1 | 1.00 | 2024-02-01T04:59:59 | 2024-03-01T05:00:00 | true | false
             D2 | 2.00 | 2024-02-01T05:00:00 | 2024-03-01T03:00:00 | true | true",
        )],
    )
    .await;
    company
        .assert_with(
            &[("reporting.timezone", "America/New_York")],
            "select month, open_at_start, created, won, lost from pipeline_velocity order by month",
            "2024-01-01 | 0 | 1 | 0 | 0
             2024-02-01 | 1 | 1 | 1 | 0
             2024-03-01 | 1 | 0 | 0 | 1",
        )
        .await;
}
