//! The bridge of the open pipeline: every way in and out, rates that move, and histories that are early, late or missing.

use super::{Company, company};

async fn moving() -> Company {
    company(
        "2024-04-16T12:00:00Z",
        &[
            (
                "crm.opportunities",
                "opportunity_id | amount | currency | created_at | closed_at | is_closed | is_won
                M01 | 95.00 | USD | 2024-01-10 | 2024-02-20 | true | true
                M02 | 50.00 | EUR | 2024-01-15 | - | false | false
                M03 | 30.00 | USD | 2024-02-05 | 2024-02-25 | true | false
                M04 | - | USD | 2024-02-03 | - | false | false
                M05 | 99.00 | USD | 2024-02-10 | 2024-03-10 | true | false
                M06 | 7.00 | USD | 2024-01-05 | 2024-02-01 | false | false
                M07 | 1000.00 | USD | 2024-01-05 | - | true | true
                M08 | 8.00 | USD | 2024-03-05 | 2024-02-06 | true | true
                M09 | 60.00 | USD | 2024-04-01 | 2024-04-16T12:00:00 | true | true
                M10 | 25.00 | USD | 2024-03-01 | - | false | false
                M11 | 500.00 | GBP | 2024-01-02 | - | false | false",
            ),
            (
                "crm.opportunity_history",
                "opportunity_id | changed_at | amount
                M01 | 2024-01-10 | 100.00
                M01 | 2024-01-25 | 120.00
                M01 | 2024-02-10 | 90.00
                M01 | 2024-02-20 | 95.00
                M02 | 2024-01-15 | -
                M04 | 2024-01-20 | 10.00
                M04 | 2024-02-01 | 15.00
                M04 | 2024-03-31T23:59:59 | -
                M05 | 2024-02-10 | 40.00
                M05 | 2024-03-10 | 0.00
                M05 | 2024-03-20 | 99.00
                M10 | 2024-03-01 | 20.00
                M10 | 2024-04-01 | 25.00",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-01 | 1.10
                EUR | 2024-02-15 | 1.20",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn the_bridge_of_the_pipeline_closes() {
    // January: M01 100 + 20, M02 50 EUR x 1.10, M06 7, M11 without a rate 0. M07 is closed, and nobody knows when.
    // February: M01 120 is won with 95; M03 comes and is lost; M04 enters with 10, of before its creation, and is 15;
    // M05 40; M06 was reopened; M08 is won before it is created: 8 more, 8 won. March opens with M02 at 1.20; M05 is
    // lost with the 40 that it had before the closing; M04 loses its amount; M08 is created and gone. April: M10 changes
    // on the first instant, which is after the opening; M09 is won at as_of.
    let company = moving().await;
    company
        .assert(
            "select * from pipeline_movements order by month",
            "2024-01-01 | 0.00 | 162.00 | 20.00 | 0.00 | 0.00 | 0.00 | 182.00 | true
             2024-02-01 | 182.00 | 80.00 | 13.00 | 25.00 | 103.00 | 30.00 | 117.00 | true
             2024-03-01 | 122.00 | 28.00 | 0.00 | 23.00 | 0.00 | 40.00 | 87.00 | true
             2024-04-01 | 87.00 | 60.00 | 5.00 | 0.00 | 0.00 | 0.00 | 152.00 | false",
        )
        .await;
}

#[tokio::test]
async fn each_deal_has_a_bridge_of_its_own() {
    let company = moving().await;
    company
        .assert(
            "select opportunity_id, month, opening, created, increased, decreased, won, lost, closing
             from core.opportunity_months where opportunity_id in ('M01', 'M04', 'M05', 'M08')
             order by opportunity_id, month",
            "M01 | 2024-01-01 | 0.00 | 100.00 | 20.00 | 0.00 | 0.00 | 0.00 | 120.00
             M01 | 2024-02-01 | 120.00 | 0.00 | 0.00 | 25.00 | 95.00 | 0.00 | 0.00
             M04 | 2024-02-01 | 0.00 | 10.00 | 5.00 | 0.00 | 0.00 | 0.00 | 15.00
             M04 | 2024-03-01 | 15.00 | 0.00 | 0.00 | 15.00 | 0.00 | 0.00 | 0.00
             M04 | 2024-04-01 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00
             M05 | 2024-02-01 | 0.00 | 40.00 | 0.00 | 0.00 | 0.00 | 0.00 | 40.00
             M05 | 2024-03-01 | 40.00 | 0.00 | 0.00 | 0.00 | 0.00 | 40.00 | 0.00
             M08 | 2024-02-01 | 0.00 | 0.00 | 8.00 | 0.00 | 8.00 | 0.00 | 0.00
             M08 | 2024-03-01 | 0.00 | 8.00 | 0.00 | 8.00 | 0.00 | 0.00 | 0.00",
        )
        .await;
}

#[tokio::test]
async fn a_month_without_deals_has_a_row_of_zeros() {
    let company = company(
        "2024-04-01T00:00:00Z",
        &[(
            "crm.opportunities",
            "opportunity_id | amount | created_at | closed_at | is_closed | is_won
             D1 | 5.00 | 2024-01-01 | 2024-01-31T23:59:59 | true | false
             D2 | 6.00 | 2024-03-01 | 2024-03-02 | true | true",
        )],
    )
    .await;
    company
        .assert(
            "select * from pipeline_movements order by month",
            "2024-01-01 | 0.00 | 5.00 | 0.00 | 0.00 | 0.00 | 5.00 | 0.00 | true
             2024-02-01 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | true
             2024-03-01 | 0.00 | 6.00 | 0.00 | 0.00 | 6.00 | 0.00 | 0.00 | true",
        )
        .await;
}
