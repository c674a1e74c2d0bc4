//! Rows of sources that something is wrong with: what breaks each rule, and what comes close and does not.

use super::{Company, company, company_without};

pub(super) const AS_OF: &str = "2025-04-01T00:00:00Z";

/// Asserts which rows break a rule, in the order of tables and rows.
pub(super) async fn assert_broken(company: &Company, rule: &str, expected: &str) {
    let sql = format!(
        "select table_name, record_id, column_name, details from quality.violations
         where rule = '{rule}' order by table_name, record_id, column_name"
    );
    company.assert(&sql, expected).await;
}

#[tokio::test]
async fn rows_inside_a_circle_of_merges() {
    // A4 and K4 lead into a circle, A6 into nothing. L3 is created at as_of, so that L2 leads nowhere.
    let company = company(
        AS_OF,
        &[
            (
                "crm.accounts",
                "account_id | merged_into_id | is_deleted
                A1 | - | false
                A2 | A3 | false
                A3 | A2 | true
                A4 | A2 | false
                A5 | A5 | false
                A6 | gone | false",
            ),
            ("crm.contacts", "contact_id | merged_into_id\nP1 | P2\nP2 | P1"),
            (
                "crm.leads",
                "lead_id | merged_into_id | created_at
                L1 | L1 | 2025-01-01
                L2 | L3 | 2025-01-01
                L3 | L2 | 2025-04-01",
            ),
            ("billing.customers", "customer_id | merged_into_id\nK1 | K2\nK2 | K3\nK3 | K1\nK4 | K1"),
        ],
    )
    .await;
    assert_broken(
        &company,
        "merge_cycle",
        "billing.customers | K1 | merged_into_id | merged into K2, which leads back to it
         billing.customers | K2 | merged_into_id | merged into K3, which leads back to it
         billing.customers | K3 | merged_into_id | merged into K1, which leads back to it
         crm.accounts | A2 | merged_into_id | merged into A3, which leads back to it
         crm.accounts | A3 | merged_into_id | merged into A2, which leads back to it
         crm.accounts | A5 | merged_into_id | merged into itself
         crm.contacts | P1 | merged_into_id | merged into P2, which leads back to it
         crm.contacts | P2 | merged_into_id | merged into P1, which leads back to it
         crm.leads | L1 | merged_into_id | merged into itself",
    )
    .await;
}

const DEALS: &str = "opportunity_id | amount | currency | created_at | closed_at | is_closed | is_won | is_deleted
    D01 | 5.00 | EUR | 2025-01-31 | - | false | false | false
    D02 | 5.00 | EUR | 2025-02-01 | - | false | false | false
    D03 | - | EUR | 2025-01-31 | - | false | false | false
    D04 | - | EUR | 2025-01-31 | - | false | false | false
    D05 | 5.00 | EUR | 2025-02-10 | 2025-01-20 | true | true | false
    D06 | 5.00 | EUR | 2025-02-10 | 2025-01-20 | true | false | false
    D07 | 5.00 | USD | 2025-01-31 | - | false | false | false
    D08 | 5.00 | CHF | 2025-03-01 | - | false | false | true
    D09 | 5.00 | CHF | 2025-04-01 | - | false | false | false
    D10 | 5.00 | CHF | 2025-03-01 | 2025-03-02 | true | true | false";

#[tokio::test]
async fn rows_without_an_exchange_rate() {
    // EUR has a rate from February on, CHF has none. D03 had an amount when it was created, D04 never. M2 ends before
    // January does, M4 is worth nothing. K2 is deleted, which does not matter; K9 is unknown.
    let company = company(
        AS_OF,
        &[
            ("finance.fx_rates", "currency | rate_date | rate\nEUR | 2025-02-01 | 1.1\nCHF | 2025-04-01 | 1.2"),
            ("crm.opportunities", DEALS),
            ("crm.opportunity_history", "opportunity_id | changed_at | amount\nD03 | 2025-02-03 | 5.00"),
            (
                "campaign.spend",
                "spend_date | campaign_id | channel | currency
                2025-01-31 | G1 | paid | EUR
                2025-02-01 | G1 | paid | EUR
                2025-04-01 | G1 | paid | CHF",
            ),
            (
                "finance.costs",
                "month | department | category | currency
                2025-01-01 | sales | tools | EUR
                2025-02-01 | sales | tools | EUR",
            ),
            ("billing.customers", "customer_id | is_deleted\nK1 | false\nK2 | true"),
            (
                "billing.invoices",
                "invoice_id | customer_id | status | currency | issued_at
                I1 | K1 | open | EUR | 2025-01-31
                I2 | K1 | draft | EUR | 2025-01-31
                I3 | K1 | void | EUR | 2025-01-31
                I4 | K9 | open | EUR | 2025-01-31
                I5 | K2 | open | CHF | 2025-03-31",
            ),
            (
                "billing.payments",
                "payment_id | customer_id | status | currency | paid_at
                Y1 | K1 | succeeded | EUR | 2025-01-31
                Y2 | K1 | failed | EUR | 2025-01-31
                Y3 | K9 | succeeded | EUR | 2025-01-31",
            ),
            (
                "billing.refunds",
                "refund_id | payment_id | currency | refunded_at
                R1 | Y2 | CHF | 2025-03-01
                R2 | Y3 | CHF | 2025-03-01",
            ),
            ("billing.subscriptions", "subscription_id | customer_id\nS1 | K1\nS2 | K9"),
            (
                "billing.subscription_items",
                "item_id | subscription_id | unit_amount | currency | effective_from | effective_to
                M1 | S1 | 1 | EUR | 2025-01-10 | -
                M2 | S1 | 1 | EUR | 2025-01-10 | 2025-01-31
                M3 | S1 | 1 | EUR | 2025-02-10 | -
                M4 | S1 | 0 | CHF | 2025-02-10 | -
                M5 | S1 | 1 | CHF | 2025-03-31 | -
                M6 | S2 | 1 | CHF | 2025-03-31 | -",
            ),
        ],
    )
    .await;
    assert_broken(
        &company,
        "missing_fx_rate",
        "billing.invoices | I1 | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         billing.invoices | I5 | currency | no rate of CHF on 2025-03-31: it has none
         billing.payments | Y1 | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         billing.refunds | R1 | currency | no rate of CHF on 2025-03-01: it has none
         billing.subscription_items | M1 | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         billing.subscription_items | M5 | currency | no rate of CHF on 2025-03-31: it has none
         campaign.spend | 2025-01-31, G1, paid, EUR | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         crm.opportunities | D01 | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         crm.opportunities | D03 | currency | no rate of EUR on 2025-01-31: its first is of 2025-02-01
         crm.opportunities | D05 | currency | no rate of EUR on 2025-01-20: its first is of 2025-02-01
         crm.opportunities | D10 | currency | no rate of CHF on 2025-03-01: it has none
         finance.costs | 2025-01-01, sales, tools, EUR | currency | no rate of EUR on 2025-01-01: its first is of 2025-02-01",
    )
    .await;
}

#[tokio::test]
async fn won_deals_that_lack_something() {
    // D3 is won at as_of, so it is open; D4 is deleted, D5 lost.
    let company = company(
        AS_OF,
        &[(
            "crm.opportunities",
            "opportunity_id | stage | amount | created_at | close_date | closed_at | is_closed | is_won | is_deleted
            D1 | won | - | 2025-01-01 | - | 2025-01-31 | true | true | false
            D2 | won | - | 2025-01-01 | - | - | true | true | false
            D3 | won | - | 2025-01-01 | - | 2025-04-01 | true | true | false
            D4 | won | - | 2025-01-01 | - | - | true | true | true
            D5 | lost | - | 2025-01-01 | - | - | true | false | false
            D6 | won | 1.00 | 2025-01-01 | 2025-02-01 | - | false | true | false",
        )],
    )
    .await;
    assert_broken(
        &company,
        "missing_amount",
        "crm.opportunities | D1 | amount | won in stage won without an amount: it counts as 0
         crm.opportunities | D2 | amount | won in stage won without an amount: it counts as 0",
    )
    .await;
    assert_broken(
        &company,
        "won_without_closed_at",
        "crm.opportunities | D2 | closed_at | won without a closing instant, expected on no day
         crm.opportunities | D6 | closed_at | won without a closing instant, expected on 2025-02-01",
    )
    .await;
}

#[tokio::test]
async fn rows_that_lead_to_nobody() {
    // K2 is deleted and known. T4 and Y2 are of as_of. M1 goes with its subscription.
    let tables = [
        ("crm.accounts", "account_id | is_deleted\nA1 | false\nA2 | true"),
        (
            "campaign.touches",
            "touch_id | touch_type | channel | account_id | email | touched_at
            T1 | visit | paid | A1 | - | 2025-01-01
            T2 | click | email | - | x@gmail.com | 2025-01-01
            T3 | visit | paid | A2 | - | 2025-01-01
            T4 | visit | paid | - | - | 2025-04-01",
        ),
        ("billing.customers", "customer_id | is_deleted\nK1 | false\nK2 | true"),
        ("billing.subscriptions", "subscription_id | customer_id\nS1 | K1\nS2 | K2\nS9 | K9"),
        ("billing.subscription_items", "item_id | subscription_id\nM1 | S9"),
        (
            "billing.invoices",
            "invoice_id | customer_id | status | issued_at\nI1 | K1 | open | 2025-01-01\nI9 | K9 | draft | 2025-01-01",
        ),
        (
            "billing.payments",
            "payment_id | customer_id | status | paid_at
            Y1 | K9 | failed | 2025-01-01
            Y2 | K9 | failed | 2025-04-01",
        ),
    ];
    let open = company(AS_OF, &tables).await;
    assert_broken(
        &open,
        "unresolved_touch",
        "campaign.touches | T2 | - | click in email by x@gmail.com leads to no live account
         campaign.touches | T3 | - | visit in paid without email leads to no live account",
    )
    .await;
    assert_broken(
        &open,
        "orphan_row",
        "billing.invoices | I9 | customer_id | customer K9 is unknown: the row is left out
         billing.payments | Y1 | customer_id | customer K9 is unknown: the row is left out
         billing.subscriptions | S9 | customer_id | customer K9 is unknown: the row is left out",
    )
    .await;
    // Without the tables that they are held against, nothing can be said.
    let bare = company_without(&["crm.accounts", "billing.customers"], AS_OF, &tables).await;
    bare.assert("select count(*) from quality.violations where rule in ('unresolved_touch', 'orphan_row')", "0").await;
}

#[tokio::test]
async fn journeys_that_run_backwards() {
    // A1 is created as a lead after its deal and pays before closing and touch. A2's lead is earlier than its touch,
    // its deal closed before it was created. A3 runs forwards, each step at the instant of the one before.
    let company = company(
        AS_OF,
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3"),
            (
                "crm.leads",
                "lead_id | created_at | converted_account_id
                L1 | 2025-01-20 | A1
                L2 | 2025-01-01 | A2
                L3 | 2025-01-10 | A3",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 1.00 | 2025-01-10 | 2025-02-01 | true | true
                D2 | A2 | 1.00 | 2025-01-15 | 2025-01-14 | true | true
                D3 | A3 | 1.00 | 2025-01-10 | 2025-01-10 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | touched_at
                T1 | A1 | 2025-01-08
                T2 | A2 | 2025-01-12
                T3 | A3 | 2025-01-10",
            ),
            ("billing.customers", "customer_id | account_id\nK1 | A1\nK3 | A3"),
            (
                "billing.payments",
                "payment_id | customer_id | status | paid_at
                Y1 | K1 | succeeded | 2025-01-05
                Y3 | K3 | succeeded | 2025-01-10",
            ),
        ],
    )
    .await;
    assert_broken(
        &company,
        "payment_before_first_touch",
        "crm.accounts | A1 | - | paid first at 2025-01-05T00:00:00Z, touched first at 2025-01-08T00:00:00Z",
    )
    .await;
    assert_broken(
        &company,
        "negative_leg",
        "crm.accounts | A1 | - | runs backwards: lead to opportunity, won to payment
         crm.accounts | A2 | - | runs backwards: touch to lead, opportunity to won",
    )
    .await;
}

#[tokio::test]
async fn items_below_zero() {
    // M2: -0.004 is 0.00. M3: a discount of 120 %. M4 begins at as_of, M5 is of an unknown subscription.
    let company = company(
        AS_OF,
        &[
            ("billing.customers", "customer_id\nK1"),
            ("billing.subscriptions", "subscription_id | customer_id\nS1 | K1"),
            (
                "billing.subscription_items",
                "item_id | subscription_id | unit_amount | quantity | discount_pct | currency | effective_from
                M1 | S1 | 5 | -2 | - | EUR | 2025-01-01
                M2 | S1 | -0.004 | 1 | - | EUR | 2025-01-01
                M3 | S1 | 10 | 1 | 120 | USD | 2025-01-01
                M4 | S1 | -5 | 1 | - | USD | 2025-04-01
                M5 | S9 | -5 | 1 | - | USD | 2025-01-01",
            ),
        ],
    )
    .await;
    assert_broken(
        &company,
        "negative_item",
        "billing.subscription_items | M1 | - | worth -10.00 EUR a month: it counts as 0
         billing.subscription_items | M3 | - | worth -2.00 USD a month: it counts as 0",
    )
    .await;
}

#[tokio::test]
async fn values_that_mean_nothing() {
    let company = company(
        AS_OF,
        &[
            (
                "crm.opportunities",
                "opportunity_id | type | forecast_category | probability | created_at | is_deleted
                D1 | new | commit | 1 | 2025-01-01 | false
                D2 | upsell | maybe | 1.01 | 2025-01-01 | false
                D3 | upsell | - | - | 2025-01-01 | true",
            ),
            (
                "billing.subscription_items",
                "item_id | interval | interval_count | discount_pct
                M1 | year | 1 | 100
                M2 | quarter | 0 | 100.5",
            ),
            ("billing.invoices", "invoice_id | status\nI1 | uncollectible\nI2 | sent"),
            ("billing.payments", "payment_id | status\nY1 | pending\nY2 | done"),
            ("finance.costs", "month | department | category\n2025-01-01 | support | tools\n2025-04-01 | hr | tools"),
            ("finance.gross_margin", "month | gross_margin\n2025-01-01 | 80\n2025-02-01 | 0.8"),
        ],
    )
    .await;
    assert_broken(
        &company,
        "unknown_value",
        "billing.invoices | I2 | status | expected draft, open, paid, void or uncollectible, found sent
         billing.payments | Y2 | status | expected succeeded, pending or failed, found done
         billing.subscription_items | M2 | discount_pct | expected 0 to 100, found 100.5000
         billing.subscription_items | M2 | interval | expected day, week, month or year, found quarter
         billing.subscription_items | M2 | interval_count | expected a number above 0, found 0
         crm.opportunities | D2 | forecast_category | expected pipeline, best_case, commit, omitted or closed, found maybe
         crm.opportunities | D2 | probability | expected 0 to 1, found 1.01
         crm.opportunities | D2 | type | expected new, expansion or renewal, found upsell
         finance.costs | 2025-01-01, support, tools, USD | department | expected sales or marketing, found support
         finance.gross_margin | 2025-01-01 | gross_margin | expected 0 to 1, found 80.0",
    )
    .await;
}
