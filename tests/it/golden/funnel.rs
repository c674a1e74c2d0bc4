//! The funnel of leads: every step, leads that share a deal, and deals that do not count.

use super::company;

#[tokio::test]
async fn leads_count_in_the_month_and_source_that_they_came_from() {
    // January: L01 and L02 share a deal that is won and paid, L03 came to nothing; L05 is merged, L06 deleted. February,
    // on its leap day: L04 has an open deal and no source, L09 a deleted deal. April: L07 won, the payment given back;
    // L10 won without an account; L11 won, and nobody knows when. L08 came at as_of.
    let company = company(
        "2024-04-16T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.leads",
                "lead_id | source | created_at | qualified_at | converted_opportunity_id | merged_into_id | is_deleted
                L01 | web | 2024-01-01 | 2024-01-02 | D1 | - | false
                L02 | web | 2024-01-20 | - | D1 | - | false
                L03 | web | 2024-01-31T23:59:59 | - | - | - | false
                L04 | - | 2024-02-29 | 2024-06-01 | D2 | - | false
                L05 | ads | 2024-01-15 | 2024-01-15 | D1 | L01 | false
                L06 | web | 2024-01-15 | 2024-01-15 | D1 | - | true
                L07 | ads | 2024-04-01 | 2024-04-01 | D3 | - | false
                L08 | ads | 2024-04-16 | 2024-04-16 | D1 | - | false
                L09 | web | 2024-02-01 | - | D4 | - | false
                L10 | ads | 2024-04-02 | - | D5 | - | false
                L11 | ads | 2024-04-03 | - | D6 | - | false",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | created_at | closed_at | is_closed | is_won | is_deleted
                D1 | A1 | 2024-01-05 | 2024-02-05 | true | true | false
                D2 | A1 | 2024-03-01 | - | false | false | false
                D3 | A2 | 2024-04-02 | 2024-04-05 | true | true | false
                D4 | A1 | 2024-02-02 | 2024-02-05 | true | true | true
                D5 | - | 2024-04-02 | 2024-04-05 | true | true | false
                D6 | A1 | 2024-04-02 | - | true | true | false",
            ),
            ("billing.customers", "customer_id | account_id\nC1 | A1\nC2 | A2"),
            (
                "billing.payments",
                "payment_id | customer_id | status | amount | paid_at
                P1 | C1 | succeeded | 10.00 | 2023-12-01
                P2 | C2 | succeeded | 10.00 | 2024-04-06",
            ),
            ("billing.refunds", "refund_id | payment_id | amount | refunded_at\nR1 | P2 | 10.00 | 2024-04-07"),
        ],
    )
    .await;
    company
        .assert(
            "select * from funnel order by cohort_month, source",
            "2024-01-01 | (none) | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-01-01 | ads | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-01-01 | web | 3 | 1 | 2 | 2 | 2 | 0.333333 | 2 | 1 | 1 | 0.666667 | true
             2024-02-01 | (none) | 1 | 1 | 1 | 0 | 0 | 1 | 1 | 0 | - | 0 | true
             2024-02-01 | ads | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-02-01 | web | 1 | 0 | 0 | 0 | 0 | 0 | - | - | - | 0 | true
             2024-03-01 | (none) | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-03-01 | ads | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-03-01 | web | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | true
             2024-04-01 | (none) | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | false
             2024-04-01 | ads | 3 | 1 | 3 | 2 | 0 | 0.333333 | 3 | 0.666667 | 0 | 0 | false
             2024-04-01 | web | 0 | 0 | 0 | 0 | 0 | - | - | - | - | - | false",
        )
        .await;
}
