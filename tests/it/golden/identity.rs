//! Identity: to which account a touch or a billing customer belongs.

use super::{Company, company};

async fn merged() -> Company {
    company(
        "2025-06-01T00:00:00Z",
        &[
            // A1 -> A2 -> A3. B2 and B1 are a cycle, B3 leads into it. C1 points nowhere. D1 is deleted, D2 merged into
            // it. E1 is a deleted duplicate of E2.
            (
                "crm.accounts",
                "account_id | domain | merged_into_id | is_deleted
                A1 | acme.com | A2 | false
                A2 | - | A3 | true
                A3 | - | - | false
                B1 | - | B2 | false
                B2 | cycle.com | B1 | false
                B3 | - | B2 | false
                C1 | nowhere.com | GONE | false
                D1 | deleted.com | - | true
                D2 | - | D1 | false
                E1 | dup.com | E2 | true
                E2 | shared.com | - | false
                E3 | shared.com | - | false
                F1 | gmail.com | - | false",
            ),
            // K1 leads to a deleted account, so K2 is the smallest that counts. K4 is a deleted duplicate of K5, K6 is
            // deleted.
            (
                "crm.contacts",
                "contact_id | account_id | email | merged_into_id | is_deleted
                K1 | D1 | ann@free.org | - | false
                K3 | B1 | ann@free.org | - | false
                K2 | A1 | ann@free.org | - | false
                K4 | - | old@free.org | K5 | true
                K5 | E2 | new@free.org | - | false
                K6 | E2 | gone@free.org | - | true
                K7 | - | lost@acme.com | - | false
                K8 | C1 | both@free.org | - | false",
            ),
            (
                "crm.leads",
                "lead_id | email | created_at | converted_account_id | merged_into_id | is_deleted
                L1 | lead@free.org | 2025-01-01 | E2 | - | false
                L2 | both@free.org | 2025-01-01 | E2 | - | false
                L3 | future@free.org | 2025-06-01 | E2 | - | false
                L4 | fallback@acme.com | 2025-01-01 | D1 | - | false",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | contact_id | lead_id | email | touched_at
                T01 | A1 | - | - | - | 2025-01-01
                T02 | B3 | - | - | - | 2025-01-01
                T03 | B2 | - | - | - | 2025-01-01
                T04 | C1 | - | - | - | 2025-01-01
                T05 | D2 | - | - | - | 2025-01-01
                T06 | D2 | K2 | L1 | - | 2025-01-01
                T07 | E2 | K2 | - | - | 2025-01-01
                T08 | UNKNOWN | UNKNOWN | L1 | - | 2025-01-01
                T09 | - | K1 | - | both@free.org | 2025-01-01
                T10 | - | - | - | ann@free.org | 2025-01-01
                T11 | - | - | - | \" Ann@FREE.org \" | 2025-01-01
                T12 | - | - | - | old@free.org | 2025-01-01
                T13 | - | - | - | gone@free.org | 2025-01-01
                T14 | - | - | - | lead@free.org | 2025-01-01
                T15 | - | - | - | both@free.org | 2025-01-01
                T16 | - | - | - | any@acme.com | 2025-01-01
                T17 | - | - | - | a@b@ACME.com | 2025-01-01
                T18 | - | - | - | any@mail.acme.com | 2025-01-01
                T19 | - | - | - | any@gmail.com | 2025-01-01
                T20 | - | - | - | any@dup.com | 2025-01-01
                T21 | - | - | - | any@shared.com | 2025-01-01
                T22 | - | - | - | any@deleted.com | 2025-01-01
                T23 | - | - | - | any@cycle.com | 2025-01-01
                T24 | - | - | - | lost@acme.com | 2025-01-01
                T25 | - | - | - | future@free.org | 2025-01-01
                T26 | - | - | - | fallback@acme.com | 2025-01-01
                T27 | - | - | - | acme.com | 2025-01-01
                T28 | - | - | - | - | 2025-01-01
                T29 | E2 | - | - | - | 2025-06-01",
            ),
            (
                "billing.customers",
                "customer_id | account_id | email | merged_into_id | is_deleted
                C1 | A2 | - | - | false
                C2 | D1 | old@free.org | - | false
                C3 | - | lead@free.org | - | false
                C4 | - | any@acme.com | - | true
                C5 | A1 | - | C3 | false
                C6 | - | any@gmail.com | C7 | false
                C7 | - | any@gmail.com | C6 | false",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | D2 | 1.00 | 2025-01-01 | 2025-01-31 | true | true
                D2 | B3 | 1.00 | 2025-01-01 | 2025-01-31 | true | true
                D3 | UNKNOWN | 1.00 | 2025-01-01 | 2025-01-31 | true | true",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn a_touch_belongs_to_the_first_live_account_that_it_leads_to() {
    let company = merged().await;
    company
        .assert(
            "select touch_id, live_account_id from core.touch_identity order by touch_id",
            "T01 | A3
             T02 | B1
             T03 | B1
             T04 | C1
             T05 | -
             T06 | A3
             T07 | E2
             T08 | E2
             T09 | C1
             T10 | A3
             T11 | A3
             T12 | E2
             T13 | -
             T14 | E2
             T15 | C1
             T16 | A3
             T17 | A3
             T18 | -
             T19 | -
             T20 | E2
             T21 | E2
             T22 | -
             T23 | B1
             T24 | A3
             T25 | -
             T26 | A3
             T27 | -
             T28 | -",
        )
        .await;
}

#[tokio::test]
async fn a_billing_customer_is_an_account_or_itself() {
    // C3's email is a lead's alone, which says nothing here. C5 is merged into C3. C6 and C7 are a cycle of free mail.
    let company = merged().await;
    company
        .assert(
            "select customer_id, entity_id from core.customer_identity order by customer_id",
            "C1 | A3
             C2 | E2
             C3 | billing:C3
             C4 | A3
             C5 | billing:C3
             C6 | billing:C6
             C7 | billing:C6",
        )
        .await;
}

#[tokio::test]
async fn a_deal_of_a_deleted_or_unknown_account_has_none() {
    let company = merged().await;
    company
        .assert(
            "select opportunity_id, account_id, is_first from core.conversions order by opportunity_id",
            "D1 | - | false
             D2 | B1 | true
             D3 | - | false",
        )
        .await;
}
