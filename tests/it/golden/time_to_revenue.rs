//! Time to revenue: every status, legs that are missing or negative, and payments that do not count.

use super::{Company, company};

async fn paying() -> Company {
    company(
        "2025-04-01T00:00:00Z",
        &[
            (
                "crm.accounts",
                "account_id | segment
                A1 | smb
                A2 | -
                A3 | -
                A4 | -
                A5 | -
                A6 | enterprise
                A7 | -
                A8 | -
                A9 | -",
            ),
            (
                "crm.leads",
                "lead_id | created_at | converted_account_id | merged_into_id | is_deleted
                L1 | 2025-01-03T12:00:00Z | A1 | - | false
                L2 | 2025-01-01 | A1 | - | true
                L3 | 2025-01-01 | A1 | L1 | false
                L5 | 2025-01-05 | A5 | - | false
                L7 | 2025-01-20 | A7 | - | false",
            ),
            // A1's first conversion is D1, though D0 was created before it. A3's deal is won at as_of, so it is open.
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won | is_deleted
                D0 | A1 | 1.00 | 2025-01-05 | 2025-03-01 | true | true | false
                D1 | A1 | 1.00 | 2025-01-10 | 2025-02-01 | true | true | false
                D2 | A2 | 1.00 | 2025-01-10 | 2025-02-01 | true | true | false
                D3 | A3 | 1.00 | 2025-01-10 | 2025-04-01 | true | true | false
                D4 | A4 | 1.00 | 2025-01-12 | 2025-02-01 | true | false | false
                D5 | A4 | 1.00 | 2025-01-10 | 2025-02-02 | true | false | false
                D6 | A5 | 1.00 | 2025-01-10 | 2025-02-01 | true | true | true
                D7 | A7 | 1.00 | 2025-01-10 | 2025-02-01 | true | true | false
                D8 | A8 | 1.00 | 2025-01-10 | - | true | true | false",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T2 | A1 | email | 2025-01-01
                T1 | A1 | paid | 2025-01-01
                T3 | A2 | paid | 2025-01-01
                T6 | A6 | email | 2025-02-01
                T7 | A7 | event | 2025-03-01
                T9 | A9 | event | 2025-03-01",
            ),
            (
                "billing.customers",
                "customer_id | account_id
                C1 | A1
                C2 | A2
                C6 | A6
                C7 | A7
                C8 | -
                C9 | -",
            ),
            // A2: given back in full in two parts. A6: a cent is left, and EUR given back for USD does not count.
            (
                "billing.payments",
                "payment_id | customer_id | status | amount | currency | paid_at
                P0 | C1 | failed | 100.00 | USD | 2025-02-02
                P00 | C1 | succeeded | 0.00 | USD | 2025-02-02
                P1 | C1 | succeeded | 100.00 | USD | 2025-02-11
                P10 | C1 | succeeded | 100.00 | USD | 2025-02-20
                P2 | C2 | succeeded | 100.00 | USD | 2025-02-11
                P6 | C6 | succeeded | 100.00 | USD | 2025-02-11
                P7 | C7 | succeeded | 100.00 | USD | 2025-01-31
                P8 | C8 | succeeded | 100.00 | USD | 2025-01-31
                P9 | C9 | pending | 100.00 | USD | 2025-01-31",
            ),
            (
                "billing.refunds",
                "refund_id | payment_id | amount | currency | refunded_at
                R1 | P2 | 60.00 | USD | 2025-02-12
                R2 | P2 | 40.00 | USD | 2025-03-12
                R3 | P6 | 99.99 | USD | 2025-02-12
                R4 | P6 | 50.00 | EUR | 2025-02-12
                R5 | P8 | 100.00 | USD | 2025-04-01",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn every_status_and_every_leg() {
    // A1: touch 01-01 (the tie goes to T1), lead 01-03 noon, deal 01-10, won 02-01, paid 02-11.
    // A7: the lead is later than the deal, and the payment earlier than the closing and the touch.
    let company = paying().await;
    company
        .assert(
            "select account_id, segment, channel, days_touch_to_lead, days_lead_to_opportunity, days_opportunity_to_won,
                 days_won_to_payment, days_to_revenue, status, is_complete
             from time_to_revenue order by account_id",
            "A1 | smb | paid | 2.5 | 6.5 | 22 | 10 | 41 | paid | true
             A2 | - | paid | - | - | 22 | - | - | won_unpaid | false
             A3 | - | (none) | - | - | - | - | - | open | false
             A4 | - | (none) | - | - | - | - | - | lost | false
             A5 | - | (none) | - | - | - | - | - | lead | false
             A6 | enterprise | email | - | - | - | - | 10 | paid | true
             A7 | - | event | - | - | 22 | - | - | paid | true
             A8 | - | (none) | - | - | - | - | - | won_unpaid | false
             A9 | - | event | - | - | - | - | - | lead | false
             billing:C8 | - | (none) | - | - | - | - | - | paid | true
             billing:C9 | - | (none) | - | - | - | - | - | lead | false",
        )
        .await;
    company
        .assert(
            "select account_id, first_touch_at, lead_created_at, opportunity_created_at, won_at, first_payment_at
             from time_to_revenue where account_id in ('A1', 'A4', 'A8') order by account_id",
            "A1 | 2025-01-01T00:00:00Z | 2025-01-03T12:00:00Z | 2025-01-10T00:00:00Z | 2025-02-01T00:00:00Z | 2025-02-11T00:00:00Z
             A4 | - | - | 2025-01-10T00:00:00Z | - | -
             A8 | - | - | 2025-01-10T00:00:00Z | - | -",
        )
        .await;
}

#[tokio::test]
async fn a_refund_counts_when_it_has_happened() {
    // Before its second part A2 has paid; the refund of P8 is at as_of, and a microsecond later it has not.
    let company = paying().await;
    let sql = "select account_id, status from time_to_revenue where account_id in ('A2', 'billing:C8') order by 1";
    company
        .assert_with(
            &[("reporting.as_of", "2025-03-12T00:00:00Z")],
            sql,
            "A2 | paid
             billing:C8 | paid",
        )
        .await;
    company
        .assert_with(
            &[("reporting.as_of", "2025-04-01T00:00:00.000001Z")],
            sql,
            "A2 | won_unpaid
             billing:C8 | lead",
        )
        .await;
}

#[tokio::test]
async fn months_and_channels_have_their_percentiles() {
    // February: 41 and 10 days. The median is 25.5, nine of ten lie at 10 + 0.9 x 31 = 37.9. March is there, empty.
    let company = paying().await;
    company
        .assert(
            "select * from time_to_revenue_monthly order by month, channel",
            "2025-02-01 | (all) | 2 | 25.5 | 37.9 | 25.5 | true
             2025-02-01 | email | 1 | 10 | 10 | 10 | true
             2025-02-01 | paid | 1 | 41 | 41 | 41 | true
             2025-03-01 | (all) | 0 | - | - | - | true
             2025-03-01 | email | 0 | - | - | - | true
             2025-03-01 | paid | 0 | - | - | - | true",
        )
        .await;
}
