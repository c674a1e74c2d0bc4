//! Rules that are off until the configuration asks for them.

use super::quality::{AS_OF, assert_broken};
use super::{company, company_told};

const OPTIONAL: &str = r#"
[quality]
enable = ["orphan_key", "impossible_order"]

[quality.required_fields]
"Sales' choice" = ["amount", "name"]

[quality.name_patterns]
campaigns.name = "^[a-z]+(_[a-z]{2,3})?$"
costs.category = "^t"
"#;

#[tokio::test]
async fn rules_that_are_off_until_they_are_asked_for() {
    let tables = [
        (
            "crm.accounts",
            "account_id | merged_into_id | is_deleted\nA1 | - | false\nA2 | gone | false\nA3 | gone | true",
        ),
        (
            "crm.opportunities",
            "opportunity_id | account_id | name | stage | amount | created_at | closed_at | is_closed | is_deleted
            D1 | A1 | Big | Sales' choice | 1.00 | 2025-01-02 | 2025-01-01 | true | false
            D2 | A3 | - | Sales' choice | - | 2025-01-01 | - | false | false
            D3 | A9 | - | Sales' choice | 1.00 | 2025-01-01 | - | false | true
            D4 | A9 | - | Demo | - | 2025-01-01 | 2025-01-01 | true | false
            D5 | A9 | - | Sales' choice | - | 2025-04-01 | - | false | false",
        ),
        ("crm.opportunity_contacts", "opportunity_id | contact_id\nD1 | P1\nD9 | P1"),
        ("crm.contacts", "contact_id | account_id\nP1 | A1"),
        (
            "crm.leads",
            "lead_id | created_at | first_response_at | qualified_at | converted_at
            L1 | 2025-01-02 | 2025-01-01 | 2025-01-02 | 2024-12-31",
        ),
        ("billing.customers", "customer_id | account_id | is_deleted\nK1 | A9 | true"),
        (
            "billing.subscriptions",
            "subscription_id | customer_id | started_at | trial_ends_at | canceled_at | ended_at
            S1 | K1 | 2025-01-02 | 2025-01-01 | 2025-01-02 | 2025-01-01",
        ),
        (
            "billing.subscription_items",
            "item_id | subscription_id | effective_from | effective_to
            M1 | S1 | 2025-01-02 | 2025-01-01
            M2 | S1 | 2025-01-02 | 2025-01-02",
        ),
        (
            "billing.invoices",
            "invoice_id | customer_id | issued_at | due_at | paid_at\nI1 | K1 | 2025-01-02 | 2025-01-01 | 2025-01-03",
        ),
        ("billing.payments", "payment_id | customer_id | paid_at\nY1 | K1 | 2025-01-02"),
        ("billing.refunds", "refund_id | payment_id | refunded_at\nR1 | Y1 | 2025-01-01"),
        (
            "campaign.campaigns",
            "campaign_id | name | start_date | end_date
            G1 | spring_de | 2025-01-02 | 2025-01-02
            G2 | Spring | 2025-01-02 | 2025-01-01",
        ),
        (
            "campaign.spend",
            "spend_date | campaign_id | channel | platform\n2025-01-01 | G9 | paid | search\n2025-04-01 | G9 | paid | search",
        ),
        ("finance.costs", "month | department | category\n2025-01-01 | sales | rent"),
    ];
    let quiet = company(AS_OF, &tables).await;
    let optional = "('orphan_key', 'impossible_order', 'missing_required_field', 'name_pattern')";
    quiet.assert(&format!("select count(*) from quality.violations where rule in {optional}"), "0").await;
    let listed =
        format!("select rule, is_enabled, is_optional from quality.rules where rule in {optional} order by rule");
    quiet
        .assert(
            &listed,
            "impossible_order | false | true
             missing_required_field | false | true
             name_pattern | false | true
             orphan_key | false | true",
        )
        .await;
    let asked = company_told(OPTIONAL, &[], AS_OF, &tables).await;
    asked
        .assert(
            &listed,
            "impossible_order | true | true
             missing_required_field | true | true
             name_pattern | true | true
             orphan_key | true | true",
        )
        .await;
    // No stage is known, so that the table is missing and no stage is an orphan.
    assert_broken(
        &asked,
        "orphan_key",
        "billing.customers | K1 | account_id | A9 is in no row of crm.accounts
         campaign.spend | 2025-01-01, G9, paid, search, USD | campaign_id | G9 is in no row of campaign.campaigns
         crm.accounts | A2 | merged_into_id | gone is in no row of crm.accounts
         crm.opportunities | D4 | account_id | A9 is in no row of crm.accounts
         crm.opportunity_contacts | D9, P1 | opportunity_id | D9 is in no row of crm.opportunities",
    )
    .await;
    assert_broken(
        &asked,
        "missing_required_field",
        "crm.opportunities | D2 | amount | a deal in stage Sales' choice must have amount
         crm.opportunities | D2 | name | a deal in stage Sales' choice must have name",
    )
    .await;
    assert_broken(
        &asked,
        "name_pattern",
        "campaign.campaigns | G2 | name | \"Spring\" does not match ^[a-z]+(_[a-z]{2,3})?$
         finance.costs | 2025-01-01, sales, rent, USD | category | \"rent\" does not match ^t",
    )
    .await;
    asked
        .assert(
            "select table_name, record_id, column_name from quality.violations
             where rule = 'impossible_order' order by table_name, record_id, column_name",
            "billing.invoices | I1 | due_at
             billing.refunds | R1 | refunded_at
             billing.subscription_items | M1 | effective_to
             billing.subscriptions | S1 | ended_at
             billing.subscriptions | S1 | trial_ends_at
             campaign.campaigns | G2 | end_date
             crm.leads | L1 | converted_at
             crm.leads | L1 | first_response_at
             crm.opportunities | D1 | closed_at",
        )
        .await;
    asked
        .assert(
            "select details from quality.impossible_order where record_id = 'R1'",
            "2025-01-01T00:00:00Z is earlier than paid_at of its payment 2025-01-02T00:00:00Z",
        )
        .await;
}
