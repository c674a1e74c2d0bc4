//! Markov and Shapley: credit from the whole paths of accounts.

use super::company;

const DEALS: &str = "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won";

#[tokio::test]
async fn the_textbook_chain_and_the_equal_shares() {
    // C1 > C2 > C3 converts, C1 and C2 > C3 do not. A third converts; without C1 a sixth, without C2 or C3 nobody: the
    // removal effects are 0.5, 1 and 1, the shares 0.2, 0.4 and 0.4. Shapley: 100.00 in three, to the cent.
    let company = company(
        "2025-06-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3"),
            ("crm.opportunities", &format!("{DEALS}\nD1 | A1 | 100.00 | 2025-01-01 | 2025-03-31 | true | true")),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T1 | A1 | C1 | 2025-03-01
                T2 | A1 | C2 | 2025-03-02
                T3 | A1 | C3 | 2025-03-03
                T4 | A2 | C1 | 2025-03-01
                T5 | A3 | C2 | 2025-03-01
                T6 | A3 | C3 | 2025-03-02",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select month, model, channel, conversions, revenue, spend, is_complete from attribution_by_channel
             where model in ('markov', 'shapley') order by model, channel",
            "2025-03-01 | markov | C1 | 0.2 | 20.00 | 0.00 | true
             2025-03-01 | markov | C2 | 0.4 | 40.00 | 0.00 | true
             2025-03-01 | markov | C3 | 0.4 | 40.00 | 0.00 | true
             2025-03-01 | shapley | C1 | 0.333333 | 33.33 | 0.00 | true
             2025-03-01 | shapley | C2 | 0.333333 | 33.34 | 0.00 | true
             2025-03-01 | shapley | C3 | 0.333333 | 33.33 | 0.00 | true",
        )
        .await;
}

#[tokio::test]
async fn paths_are_cut_after_each_conversion() {
    // The path of D1 is T1, exactly 90 days old, and T2, at the instant of closing; T0 is a microsecond too old and in no
    // path. D2 closed at the same instant: what was there is D1's, its own path is empty. D3 has T3 alone. T4 and all of
    // A2, however old, are paths that do not convert. D4 has no account.
    //
    // a > b and b convert, c and c > a do not: from b all convert, from a half, from c a quarter; of all a half.
    // Without a a quarter is left, without b nothing, without c 3/8: effects 1/2, 1, 1/4, shares 2/7, 4/7, 1/7 of 140.00.
    let company = company(
        "2025-06-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.opportunities",
                &format!(
                    "{DEALS}
                    D1 | A1 | 100.00 | 2025-01-01 | 2025-04-01 | true | true
                    D2 | A1 | 7.00 | 2025-01-01 | 2025-04-01 | true | true
                    D3 | A1 | 40.00 | 2025-01-01 | 2025-04-20 | true | true
                    D4 | - | 3.00 | 2025-01-01 | 2025-04-20 | true | true"
                ),
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T0 | A1 | lost | 2024-12-31T23:59:59.999999Z
                T1 | A1 | a | 2025-01-01
                T2 | A1 | b | 2025-04-01
                T3 | A1 | b | 2025-04-10
                T4 | A1 | c | 2025-05-01
                T5 | A2 | c | 2023-01-01
                T6 | A2 | a | 2025-05-02",
            ),
        ],
    )
    .await;
    let sql = "select model, channel, conversions, revenue from attribution_by_channel
               where model in ('markov', 'shapley') order by model, channel";
    company
        .assert(
            sql,
            "markov | (unattributed) | 2 | 10.00
             markov | a | 0.571429 | 40.00
             markov | b | 1.142857 | 80.00
             markov | c | 0.285714 | 20.00
             shapley | (unattributed) | 2 | 10.00
             shapley | a | 0.5 | 50.00
             shapley | b | 1.5 | 90.00",
        )
        .await;
    // Paths are of the account: contacts with a role on the deal are not asked for.
    company
        .assert_with(
            &[("attribution.touch_scope", "contact_roles")],
            &format!("{sql} limit 2"),
            "markov | (unattributed) | 2 | 10.00\nmarkov | a | 0.571429 | 40.00",
        )
        .await;
    // With five days D1 keeps T2, and D3 nothing: only b converts.
    company
        .assert_with(
            &[("attribution.lookback_days", "5")],
            sql,
            "markov | (unattributed) | 3 | 50.00
             markov | b | 1 | 100.00
             shapley | (unattributed) | 3 | 50.00
             shapley | b | 1 | 100.00",
        )
        .await;
}

#[tokio::test]
async fn touches_of_one_instant_are_in_the_order_of_their_ids() {
    // a > b converts twice, b > b and c do not. From b two of three who leave it convert, so from a; of all a half. Without
    // a a sixth is left, without b nobody: effects 2/3 and 1, shares 0.4 and 0.6. (b > a would make them 0.5 each.) c leads
    // to no conversion and has no row. Every month is shared as the chain of all months says; 0.4 of a cent is none.
    let company = company(
        "2025-06-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3\nA4"),
            (
                "crm.opportunities",
                &format!(
                    "{DEALS}
                    D1 | A1 | 30.00 | 2025-01-01 | 2025-03-01 | true | true
                    D2 | A4 | 0.01 | 2025-01-01 | 2025-05-01 | true | true"
                ),
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T2 | A1 | b | 2025-02-01
                T1 | A1 | a | 2025-02-01
                T3 | A2 | b | 2025-02-01
                T4 | A3 | c | 2025-02-01
                T6 | A4 | b | 2025-04-01
                T5 | A4 | a | 2025-04-01
                T7 | A2 | b | 2025-02-02",
            ),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | amount
                2025-03-05 | C1 | a | 4.00
                2025-04-05 | C1 | a | 8.00",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select month, channel, conversions, revenue, spend, roas from attribution_by_channel
             where model = 'markov' order by month, channel",
            "2025-03-01 | a | 0.4 | 12.00 | 4.00 | 3
             2025-03-01 | b | 0.6 | 18.00 | 0.00 | -
             2025-04-01 | a | 0 | 0.00 | 8.00 | 0
             2025-05-01 | a | 0.4 | 0.00 | 0.00 | -
             2025-05-01 | b | 0.6 | 0.01 | 0.00 | -",
        )
        .await;
}

#[tokio::test]
async fn a_filter_on_the_model_leaves_the_other_computation_out() {
    let company = company("2025-06-01T00:00:00Z", &[("crm.accounts", "account_id\nA1")]).await;
    for (filter, is_by_touch, is_by_channel) in [
        ("model = 'linear'", true, false),
        ("model = 'markov'", false, true),
        ("model in ('shapley', 'time_decay')", true, true),
        ("model like 'm%'", false, true),
    ] {
        let sql = format!("explain select * from attribution_by_channel where {filter}");
        let plan = crate::support::rows(&company.engine.session(), &sql).await;
        let plan: String = plan.into_iter().flatten().collect();
        assert_eq!(plan.contains(" CreditExec"), is_by_touch, "{filter}\n{plan}");
        assert_eq!(plan.contains(" ChannelCreditExec"), is_by_channel, "{filter}\n{plan}");
    }
}
