//! What was won against what was billed, and revenue that leaks.

use super::company;

#[tokio::test]
async fn every_issue_of_a_reconciliation() {
    // A1 wins 100.00 + 50.00 in 365 days and 70.00 after them; it is billed 142.50 in 365 days of its first invoice: the
    // difference is 5 % of 150.00 exactly. A2 is a cent further off. A3 won 30 days before as_of, A4 a second later.
    // A5's first invoice is a second less than 365 days old, A6's is 365 days old. A8's customer is deleted. A9's deal
    // has no rate. D11 has no account, I11 no known customer.
    let company = company(
        "2026-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3\nA4\nA5\nA6\nA8\nA9"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | currency | created_at | closed_at | is_closed | is_won
                D1 | A1 | 100.00 | USD | 2025-01-01 | 2025-01-01 | true | true
                D2 | A1 | 50.00 | USD | 2025-01-01 | 2025-12-31T23:59:59Z | true | true
                D3 | A1 | 70.00 | USD | 2025-01-01 | 2026-01-01 | true | true
                D4 | A2 | 150.00 | USD | 2025-01-01 | 2025-01-01 | true | true
                D5 | A3 | 1.00 | USD | 2025-01-01 | 2026-03-02 | true | true
                D6 | A4 | 1.00 | USD | 2025-01-01 | 2026-03-02T00:00:01Z | true | true
                D7 | A5 | 10.00 | USD | 2025-01-01 | 2025-01-01 | true | true
                D8 | A6 | 11.00 | USD | 2025-01-01 | 2025-01-01 | true | true
                D9 | A9 | 10.00 | CHF | 2025-01-01 | 2025-01-01 | true | true
                D11 | - | 10.00 | USD | 2025-01-01 | 2025-01-01 | true | true",
            ),
            ("finance.fx_rates", "currency | rate_date | rate\nEUR | 2025-01-01 | 1.1"),
            (
                "billing.customers",
                "customer_id | account_id | is_deleted
                K1 | A1 | false
                K2 | A2 | false
                K5 | A5 | false
                K6 | A6 | false
                K7 | - | false
                K8 | A8 | true
                K9 | A9 | false",
            ),
            (
                "billing.invoices",
                "invoice_id | customer_id | status | subtotal | tax | total | currency | issued_at
                I1 | K1 | paid | 142.50 | 9.00 | 151.50 | USD | 2025-02-01
                I2 | K1 | paid | 99.00 | 0.00 | 99.00 | USD | 2026-02-01
                I3 | K1 | void | 99.00 | 0.00 | 99.00 | USD | 2025-01-01
                I4 | K1 | draft | 99.00 | 0.00 | 99.00 | USD | 2025-03-01
                I5 | K2 | open | 142.49 | 0.00 | 142.49 | USD | 2025-02-01
                I6 | K5 | open | 10.00 | 0.00 | 10.00 | EUR | 2025-04-01T00:00:01Z
                I7 | K6 | open | 10.00 | 0.00 | 10.00 | EUR | 2025-04-01
                I8 | K7 | open | 7.00 | 0.00 | 7.00 | USD | 2026-03-01
                I9 | K8 | open | 8.00 | 0.00 | 8.00 | USD | 2026-03-01
                I10 | K9 | open | 1.00 | 0.00 | 1.00 | USD | 2025-01-01
                I11 | K99 | open | 1.00 | 0.00 | 1.00 | USD | 2025-01-01",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from quality.reconciliation order by account_id",
            "A1 | 150.00 | 142.50 | -7.50 | matched
             A2 | 150.00 | 142.49 | -7.51 | amount_mismatch
             A3 | 1.00 | 0.00 | -1.00 | won_not_billed
             A4 | 1.00 | 0.00 | -1.00 | pending
             A5 | 10.00 | 11.00 | 1.00 | in_progress
             A6 | 11.00 | 11.00 | 0.00 | matched
             A8 | 0.00 | 8.00 | 8.00 | billed_not_in_crm
             A9 | 0.00 | 1.00 | 1.00 | amount_mismatch
             billing:K7 | 0.00 | 7.00 | 7.00 | billed_not_in_crm",
        )
        .await;
    // Settings: 6 % forgives A2; 31 days make A3 pending; 366 days take in D3 and I2 and make A6 unfinished.
    company
        .assert_with(
            &[
                ("quality.mismatch_share", "0.06"),
                ("quality.billing_grace_days", "31"),
                ("quality.reconciliation_days", "366"),
            ],
            "select * from quality.reconciliation where account_id in ('A1', 'A2', 'A3', 'A6') order by account_id",
            "A1 | 220.00 | 241.50 | 21.50 | amount_mismatch
             A2 | 150.00 | 142.49 | -7.51 | matched
             A3 | 1.00 | 0.00 | -1.00 | pending
             A6 | 11.00 | 11.00 | 0.00 | in_progress",
        )
        .await;
}

#[tokio::test]
async fn every_leak() {
    // Leads: L1 was responded to after 24 hours exactly, L2 a second later, L3 has waited 24 hours, L4 a second less.
    // Invoices: I1 was due 30 days ago, I2 a second less; I3 is 10.00 EUR of a day with rate 1.1. Payments: I4 was
    // recovered, I5 failed again after it had been paid, what succeeds at the instant of a failure is not after it.
    // Contraction from 10.00 to 4.00 in February: A2 has no deal, A3 an expansion created, A4 a renewal lost, A5 only a
    // new deal.
    let items = (2..=5).map(|who| {
        format!(
            "M{who}a | S{who} | 10 | 2025-01-01 | 2025-02-10
            M{who}b | S{who} | 4 | 2025-02-10 | -"
        )
    });
    let items: Vec<String> = items.collect();
    let company = company(
        "2025-03-31T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2\nA3\nA4\nA5"),
            (
                "crm.leads",
                "lead_id | created_at | first_response_at | merged_into_id | is_deleted
                L1 | 2025-01-10 | 2025-01-11 | - | false
                L2 | 2025-01-10 | 2025-01-11T00:00:01Z | - | false
                L3 | 2025-03-30 | - | - | false
                L4 | 2025-03-30T00:00:01Z | - | - | false
                L5 | 2025-01-10 | - | - | true
                L6 | 2025-01-10 | - | L1 | false
                L7 | 2025-01-10 | 2025-01-09 | - | false",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | type | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | new | 10.00 | 2025-01-01 | 2025-01-15 | true | true
                D2 | A1 | expansion | 5.00 | 2025-01-01 | 2025-02-15 | true | true
                D3 | A3 | expansion | 5.00 | 2025-02-28 | - | false | false
                D4 | A4 | renewal | 5.00 | 2025-01-01 | 2025-02-01 | true | false
                D5 | A5 | new | 5.00 | 2025-02-02 | - | false | false",
            ),
            ("finance.fx_rates", "currency | rate_date | rate\nEUR | 2025-01-01 | 1.1\nEUR | 2025-01-06 | 2"),
            ("billing.customers", "customer_id | account_id\nK2 | A2\nK3 | A3\nK4 | A4\nK5 | A5"),
            ("billing.subscriptions", "subscription_id | customer_id\nS2 | K2\nS3 | K3\nS4 | K4\nS5 | K5"),
            (
                "billing.subscription_items",
                &format!(
                    "item_id | subscription_id | unit_amount | effective_from | effective_to\n{}",
                    items.join("\n")
                ),
            ),
            (
                "billing.invoices",
                "invoice_id | customer_id | status | total | currency | issued_at | due_at
                I1 | K2 | open | 12.00 | USD | 2025-01-05 | 2025-03-01
                I2 | K2 | open | 12.00 | USD | 2025-01-05 | 2025-03-01T00:00:01Z
                I3 | K2 | open | 10.00 | EUR | 2025-01-05 | 2025-02-01
                I4 | K2 | paid | 10.00 | USD | 2025-01-05 | 2025-02-01
                I5 | K2 | open | 10.00 | USD | 2025-01-05 | -
                I6 | K9 | open | 10.00 | USD | 2025-01-05 | 2025-02-01",
            ),
            (
                "billing.payments",
                "payment_id | customer_id | invoice_id | status | amount | paid_at
                Y1 | K2 | I4 | failed | 10.00 | 2025-02-01
                Y2 | K2 | I4 | succeeded | 10.00 | 2025-02-03
                Y3 | K2 | I5 | succeeded | 4.00 | 2025-01-01
                Y4 | K2 | I5 | failed | 5.00 | 2025-02-01
                Y5 | K2 | I5 | failed | 6.00 | 2025-02-05
                Y6 | K2 | - | failed | 9.00 | 2025-02-05
                Y7 | K2 | I7 | failed | 7.00 | 2025-03-01
                Y8 | K2 | I7 | succeeded | 7.00 | 2025-03-01
                Y9 | K9 | I6 | failed | 7.00 | 2025-03-01",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select leak, month, records, amount, is_complete from quality.revenue_leakage order by leak, month",
            "contraction_without_opportunity | 2025-01-01 | 0 | 0.00 | true
             contraction_without_opportunity | 2025-02-01 | 2 | 12.00 | true
             contraction_without_opportunity | 2025-03-01 | 0 | 0.00 | false
             invoice_overdue | 2025-01-01 | 0 | 0.00 | true
             invoice_overdue | 2025-02-01 | 1 | 11.00 | true
             invoice_overdue | 2025-03-01 | 1 | 12.00 | false
             lead_not_followed_up | 2025-01-01 | 1 | 0.00 | true
             lead_not_followed_up | 2025-02-01 | 0 | 0.00 | true
             lead_not_followed_up | 2025-03-01 | 1 | 0.00 | false
             payment_failed_not_recovered | 2025-01-01 | 0 | 0.00 | true
             payment_failed_not_recovered | 2025-02-01 | 1 | 6.00 | true
             payment_failed_not_recovered | 2025-03-01 | 1 | 7.00 | false
             won_not_billed | 2025-01-01 | 1 | 15.00 | true
             won_not_billed | 2025-02-01 | 0 | 0.00 | true
             won_not_billed | 2025-03-01 | 0 | 0.00 | false",
        )
        .await;
    // Within 48 hours all were responded to in time, and two days have not passed for L3.
    company
        .assert_with(
            &[("quality.follow_up_hours", "48"), ("quality.overdue_days", "29.5")],
            "select leak, sum(records) from quality.revenue_leakage
             where leak in ('lead_not_followed_up', 'invoice_overdue') group by leak order by leak",
            "invoice_overdue | 3",
        )
        .await;
}
