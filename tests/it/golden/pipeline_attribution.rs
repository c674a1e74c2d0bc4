//! Attribution of pipeline, and attribution under the parameters of a call.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;

use super::company;

#[tokio::test]
async fn deals_are_credited_as_they_are_created() {
    // D1 is open and was worth 80.00 when it was created; T3 happened at that instant, T4 later. The lead came with T2.
    // D2 is lost and nobody's, 5.00 EUR at 1.10 of the day of its creation. D3 is deleted.
    let company = company(
        "2025-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | currency | created_at | closed_at | is_closed | is_deleted
                D1 | A1 | 100.00 | USD | 2025-02-01 | - | false | false
                D2 | - | 5.00 | EUR | 2025-03-01 | 2025-03-02 | true | false
                D3 | A1 | 900.00 | USD | 2025-02-01 | - | false | true",
            ),
            (
                "crm.opportunity_history",
                "opportunity_id | changed_at | amount
                D1 | 2025-02-01 | 80.00
                D1 | 2025-02-03 | 100.00",
            ),
            ("crm.leads", "lead_id | converted_opportunity_id | created_at\nL1 | D1 | 2025-01-25"),
            (
                "campaign.touches",
                "touch_id | account_id | channel | campaign_id | touched_at
                T1 | A1 | web | C1 | 2025-01-10
                T2 | A1 | email | - | 2025-01-20
                T3 | A1 | ads | C2 | 2025-02-01
                T4 | A1 | late | C3 | 2025-02-02",
            ),
            ("finance.fx_rates", "currency | rate_date | rate\nEUR | 2025-03-01 | 1.10\nEUR | 2025-03-02 | 9.00"),
        ],
    )
    .await;
    company
        .assert(
            "select month, model, touch_id, channel, campaign_id, position, touch_count, weight, credit, is_complete
             from pipeline_attribution
             where opportunity_id = 'D1' and model in ('last_touch', 'u_shaped_hubspot', 'w_shaped')
             order by model, position",
            "2025-02-01 | last_touch | T3 | ads | C2 | 3 | 3 | 1 | 80.00 | true
             2025-02-01 | u_shaped_hubspot | T1 | web | C1 | 1 | 3 | 0.4 | 32.00 | true
             2025-02-01 | u_shaped_hubspot | T2 | email | - | 2 | 3 | 0.4 | 32.00 | true
             2025-02-01 | u_shaped_hubspot | T3 | ads | C2 | 3 | 3 | 0.2 | 16.00 | true
             2025-02-01 | w_shaped | T1 | web | C1 | 1 | 3 | 0.333333 | 26.67 | true
             2025-02-01 | w_shaped | T2 | email | - | 2 | 3 | 0.333333 | 26.66 | true
             2025-02-01 | w_shaped | T3 | ads | C2 | 3 | 3 | 0.333333 | 26.67 | true",
        )
        .await;
    company
        .assert(
            "select opportunity_id, account_id, touch_id, channel, weight, credit from pipeline_attribution
             where month = date '2025-03-01' and model = 'linear'",
            "D2 | - | - | (unattributed) | 1 | 5.50",
        )
        .await;
    company
        .assert(
            "select month, channel, opportunities, amount from pipeline_attribution_by_channel
             where model = 'linear' order by month, channel",
            "2025-02-01 | ads | 0.333333 | 26.67
             2025-02-01 | email | 0.333333 | 26.66
             2025-02-01 | web | 0.333333 | 26.67
             2025-03-01 | (unattributed) | 1 | 5.50",
        )
        .await;
    company
        .assert("select count(distinct model), bool_or(model = 'full_path') from pipeline_attribution", "9 | false")
        .await;
}

const DEALS: &str = "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
    D1 | A1 | 90.00 | 2025-01-01 | 2025-04-01 | true | true
    D2 | A2 | 8.00 | 2025-01-01 | 2025-04-01 | true | true";

const TOUCHES: &str = "touch_id | account_id | channel | touched_at
    T1 | A1 | web | 2025-01-31
    T2 | A1 | email | 2025-03-22";

#[tokio::test]
async fn a_call_answers_under_its_own_parameters() {
    // T1 is 60 days old, T2 10 days: within 30 days only T2 counts; with a half life of 50 days T1 weighs half of T2.
    let company = company(
        "2025-05-01T00:00:00Z",
        &[("crm.accounts", "account_id\nA1\nA2"), ("crm.opportunities", DEALS), ("campaign.touches", TOUCHES)],
    )
    .await;
    let sql =
        |call: &str| format!("select model, opportunity_id, touch_id, weight, credit from {call} order by 1, 2, 3");
    company
        .assert(
            &sql("attribution('linear', 30, 7)"),
            "linear | D1 | T2 | 1 | 90.00
             linear | D2 | - | 1 | 8.00",
        )
        .await;
    company
        .assert(
            &sql("attribution('time_decay', null, 50)"),
            "time_decay | D1 | T1 | 0.333333 | 30.00
             time_decay | D1 | T2 | 0.666667 | 60.00
             time_decay | D2 | - | 1 | 8.00",
        )
        .await;
    company
        .assert_with(
            &[("attribution.lookback_days", "5")],
            &sql("attribution('last_touch')"),
            "last_touch | D1 | - | 1 | 90.00
             last_touch | D2 | - | 1 | 8.00",
        )
        .await;
    company
        .assert(
            "select here.touch_id, here.credit, there.credit
             from attribution('linear', 30, null) as here
             inner join attribution as there
                 on there.model = here.model and there.opportunity_id = here.opportunity_id
             order by here.touch_id, there.touch_id",
            "T2 | 90.00 | 45.00
             T2 | 90.00 | 45.00
             - | 8.00 | 8.00",
        )
        .await;
    company
        .assert("select count(*) from (select * from attribution() except select * from attribution) as other", "0")
        .await;
}

#[tokio::test]
async fn a_call_answers_in_any_schema_and_with_bound_parameters_beside_it() {
    let company = company(
        "2025-05-01T00:00:00Z",
        &[("crm.accounts", "account_id\nA1\nA2"), ("crm.opportunities", DEALS), ("campaign.touches", TOUCHES)],
    )
    .await;
    let mut session = company.engine.session();
    session.use_schema("crm").expect("there is such a schema");
    let found = crate::support::rows(&session, "select sum(credit) from attribution('linear', 30, 7)").await;
    assert_eq!(found, [["98.00"]]);
    let sql = "select credit from attribution('linear', 30, 7) where opportunity_id = ?";
    let statement = session.prepare(sql).await.expect("a statement with a parameter beside the call");
    let deal: ArrayRef = Arc::new(StringArray::from(vec!["D1"]));
    let bound = RecordBatch::try_from_iter([("deal", deal)]).expect("one column");
    let bound = statement.bind(&bound).expect("one parameter is bound");
    let found = statement
        .bound(bound, 0)
        .await
        .expect("it plans")
        .rows()
        .await
        .expect("it runs")
        .collect()
        .await
        .expect("it ends");
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn credit_is_the_same_however_often_a_plan_runs() {
    // Each round of the recursion runs the plan again; D2, without a touch, comes from the last partition to end.
    let company = company(
        "2025-05-01T00:00:00Z",
        &[("crm.accounts", "account_id\nA1\nA2"), ("crm.opportunities", DEALS), ("campaign.touches", TOUCHES)],
    )
    .await;
    company
        .assert(
            "with recursive rounds as (
                 select 1 as round, cast(0 as bigint) as rows_found
                 union all
                 select rounds.round + 1 as round, counted.rows_found
                 from rounds
                 cross join (select count(*) as rows_found from attribution where model = 'linear') as counted
                 where rounds.round < 4
             )
             select round, rows_found from rounds order by round",
            "1 | 0
             2 | 3
             3 | 3
             4 | 3",
        )
        .await;
}
