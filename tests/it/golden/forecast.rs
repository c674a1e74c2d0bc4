//! Forecasts as they stood when a month began, against what was won in it.

use super::company;

#[tokio::test]
async fn a_forecast_is_what_the_history_said_before_the_month() {
    // February, EUR at 1.10 on its first day: committed are F01 100 (the 130 comes on the first instant), F02 11 and
    // F06, whose stage nobody knows, 20; weighted 50 + 2.75 + 4 + 0. F04 is omitted, F05 stands in a closed stage. Won
    // are F01 130 and F08, 100 EUR at 1.10 though 1.20 on the day. March: F02 slipped and is a best case, 12 x 0.5;
    // F13 120 committed, F07 50 won without history. F12 had its date in a month that was over. April: half of a cent is
    // a cent; nothing is won. F11 is for May. F09 is deleted.
    let company = company(
        "2024-04-16T00:00:00Z",
        &[
            (
                "crm.opportunities",
                "opportunity_id | amount | currency | created_at | closed_at | is_closed | is_won | is_deleted
                F01 | 130.00 | USD | 2024-01-10 | 2024-02-20 | true | true | false
                F02 | 10.00 | EUR | 2024-01-15 | - | false | false | false
                F03 | 40.00 | USD | 2024-01-20 | 2024-02-05 | true | false | false
                F04 | 1000.00 | USD | 2024-01-20 | - | false | false | false
                F05 | 500.00 | USD | 2024-01-20 | - | false | false | false
                F06 | 20.00 | USD | 2024-01-25 | - | false | false | false
                F07 | 50.00 | USD | 2024-01-25 | 2024-03-05 | true | true | false
                F08 | 100.00 | EUR | 2024-01-25 | 2024-02-20 | true | true | false
                F09 | 9.00 | USD | 2023-12-01 | - | false | false | true
                F10 | 0.01 | USD | 2024-03-31 | - | false | false | false
                F11 | 77.00 | USD | 2024-03-31 | - | false | false | false
                F12 | 66.00 | USD | 2024-03-10 | - | false | false | false
                F13 | 120.00 | USD | 2024-02-10 | - | false | false | false",
            ),
            (
                "crm.opportunity_history",
                "opportunity_id | changed_at | stage | amount | probability | forecast_category | close_date
                F01 | 2024-01-10 | propose | 100.00 | 0.5 | commit | 2024-02-20
                F01 | 2024-02-01 | propose | 130.00 | 0.5 | commit | 2024-02-20
                F02 | 2024-01-15 | propose | 10.00 | 0.25 | commit | 2024-02-29
                F02 | 2024-02-25 | propose | 10.00 | 0.5 | best_case | 2024-03-10
                F03 | 2024-01-20 | propose | 40.00 | 0.1 | - | 2024-02-10
                F03 | 2024-02-05 | lost | 40.00 | 0 | closed | 2024-02-10
                F04 | 2024-01-20 | propose | 1000.00 | 1 | omitted | 2024-02-10
                F05 | 2024-01-20 | lost | 500.00 | 1 | commit | 2024-02-10
                F06 | 2024-01-25 | limbo | 20.00 | - | commit | 2024-02-15
                F09 | 2023-12-01 | propose | 9.00 | 1 | commit | 2024-02-10
                F10 | 2024-03-31 | propose | 0.01 | 0.5 | commit | 2024-04-30
                F11 | 2024-03-31 | propose | 77.00 | 1 | commit | 2024-05-10
                F12 | 2024-03-10 | propose | 66.00 | 1 | commit | 2024-02-10
                F13 | 2024-02-10 | propose | 120.00 | 1 | commit | 2024-03-31",
            ),
            (
                "crm.stages",
                "stage | position | is_closed | is_won
                propose | 1 | false | false
                lost | 2 | true | false",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2024-01-01 | 1.10
                EUR | 2024-02-15 | 1.20",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from forecast_accuracy order by month",
            "2024-01-01 | 0.00 | 0.00 | 0.00 | - | - | - | true
             2024-02-01 | 131.00 | 56.75 | 240.00 | 0.545833 | 0.832061 | -0.454167 | true
             2024-03-01 | 120.00 | 126.00 | 50.00 | -0.4 | 0.583333 | 1.4 | true
             2024-04-01 | 0.01 | 0.01 | 0.00 | - | 1 | - | false",
        )
        .await;
    company
        .assert(
            "select opportunity_id, month, fact, forecast, weighted_forecast, actual from core.opportunity_forecasts
             where opportunity_id in ('F01', 'F02') order by opportunity_id, month, fact",
            "F01 | 2024-01-01 | start | 0.00 | 0.00 | 0.00
             F01 | 2024-02-01 | actual | 0.00 | 0.00 | 130.00
             F01 | 2024-02-01 | forecast | 100.00 | 50.00 | 0.00
             F02 | 2024-01-01 | start | 0.00 | 0.00 | 0.00
             F02 | 2024-02-01 | forecast | 11.00 | 2.75 | 0.00
             F02 | 2024-03-01 | forecast | 0.00 | 6.00 | 0.00",
        )
        .await;
}

#[tokio::test]
async fn without_a_win_before_it_the_history_starts_the_spine() {
    let deal = |history: &'static str| {
        [
            (
                "crm.opportunities",
                "opportunity_id | amount | created_at | closed_at | is_closed | is_won
                 D1 | 5.00 | 2023-11-01 | 2023-12-15 | true | true
                 D2 | 6.00 | 2023-11-01 | - | false | false",
            ),
            ("crm.stages", "stage | position\npropose | 1"),
            ("crm.opportunity_history", history),
        ]
    };
    let late = company("2024-02-01T00:00:00Z", &deal("opportunity_id | changed_at\nD2 | 2024-01-05")).await;
    late.assert("select month, actual from forecast_accuracy order by 1", "2023-12-01 | 5.00\n2024-01-01 | 0.00").await;
    let early = company("2024-01-01T00:00:00Z", &deal("opportunity_id | changed_at\nD2 | 2023-11-30")).await;
    early
        .assert("select month, actual from forecast_accuracy order by 1", "2023-11-01 | 0.00\n2023-12-01 | 5.00")
        .await;
}
