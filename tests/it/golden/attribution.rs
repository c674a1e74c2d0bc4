//! Attribution: who gets which share of a deal, to the cent.

use super::{Company, company};

const ACCOUNTS: &str = "account_id
    A1
    A2
    A3
    A4
    A5";

const OPPORTUNITIES: &str = "
    opportunity_id | account_id | amount | currency | created_at | closed_at | is_closed | is_won | is_deleted
    D1 | A1 | 1000.00 | USD | 2025-01-20 | 2025-01-31 | true | true | false
    D2 | A2 | 0.01 | USD | 2025-02-01 | 2025-02-10 | true | true | false
    D3 | A3 | 100.00 | USD | 2024-12-01 | 2025-03-31 | true | true | false
    D4 | A4 | 100.05 | EUR | 2025-04-01 | 2025-04-10 | true | true | false
    D5 | A4 | 50.00 | GBP | 2025-04-01 | 2025-04-11 | true | true | false
    D6 | A5 | 70.00 | USD | 2025-05-01 | 2025-05-02 | true | true | false
    D7 | - | 30.00 | USD | 2025-05-01 | 2025-05-02 | true | true | false
    D8 | A5 | - | USD | 2025-05-01 | 2025-05-03 | true | true | false
    LOST | A1 | 9.00 | USD | 2025-01-20 | 2025-01-31 | true | false | false
    DELETED | A1 | 9.00 | USD | 2025-01-20 | 2025-01-31 | true | true | true
    UNDATED | A1 | 9.00 | USD | 2025-01-20 | - | true | true | false
    LATER | A1 | 9.00 | USD | 2025-01-20 | 2025-06-01 | true | true | false";

/// D3 closes at the start of 2025-03-31: 90 days before is the start of 2024-12-31. T32 comes before T31 in the file.
const TOUCHES: &str = "
    touch_id | account_id | channel | campaign_id | touched_at
    T11 | A1 | organic | - | 2025-01-03
    T12 | A1 | paid_search | C1 | 2025-01-10
    T13 | A1 | email | - | 2025-01-17
    T14 | A1 | direct | - | 2025-01-24
    T21 | A2 | direct | - | 2025-02-03
    T22 | A2 | direct | - | 2025-02-04
    T30 | A3 | early | - | 2024-12-30T23:59:59.999999Z
    T32 | A3 | email | - | 2024-12-31
    T31 | A3 | organic | - | 2024-12-31
    T33 | A3 | call | - | 2025-03-31
    T34 | A3 | late | - | 2025-03-31T00:00:00.000001Z
    T41 | A4 | event | - | 2025-04-02
    T61 | A5 | late | - | 2025-05-03T00:00:00.000001Z";

/// L2 is earlier, but of the account only; L3 is of the deal, and not live.
const LEADS: &str = "
    lead_id | created_at | converted_account_id | converted_opportunity_id | is_deleted
    L1 | 2025-01-17T12:00:00Z | A1 | D1 | false
    L2 | 2025-01-01 | A1 | - | false
    L3 | 2025-01-02 | A1 | D1 | true";

const RATES: &str = "
    currency | rate_date | rate
    EUR | 2025-03-01 | 1.10
    EUR | 2025-04-11 | 1.20";

async fn attributed() -> Company {
    company(
        "2025-06-01T00:00:00Z",
        &[
            ("crm.accounts", ACCOUNTS),
            ("crm.opportunities", OPPORTUNITIES),
            ("crm.leads", LEADS),
            ("campaign.touches", TOUCHES),
            ("finance.fx_rates", RATES),
        ],
    )
    .await
}

fn shares_of(opportunity: &str) -> String {
    format!(
        "select model, touch_id, position, touch_count, weight, credit from attribution
         where opportunity_id = '{opportunity}' order by model, position"
    )
}

#[tokio::test]
async fn ten_models_share_one_path_of_four_touches() {
    // 1000.00 over T11 to T14, 28, 21, 14 and 7 days before the closing. The lead was created at noon of the day of T13
    // and the deal three days later, so T13 carries both milestones.
    //   full_path: 0.225, others 0.1 to T12 alone (before the last milestone), T13 2 x 0.225, T14 the closing 0.225.
    //   time_decay: 2^-4, 2^-3, 2^-2, 2^-1, so 1, 2, 4 and 8 of 15. C = 66.67, 200.00, 466.67, 1000.00.
    //   u_shaped_hubspot: 0.4 and 0.4, and 0.2 shared by T12 and T14.
    //   w_shaped: 0.3, 2 x 0.3 and 0.1 to T12; T14 comes after the last milestone.
    let company = attributed().await;
    company
        .assert(
            &shares_of("D1"),
            "first_touch | T11 | 1 | 4 | 1 | 1000.00
             full_path | T11 | 1 | 4 | 0.225 | 225.00
             full_path | T12 | 2 | 4 | 0.1 | 100.00
             full_path | T13 | 3 | 4 | 0.45 | 450.00
             full_path | T14 | 4 | 4 | 0.225 | 225.00
             last_non_direct | T13 | 3 | 4 | 1 | 1000.00
             last_touch | T14 | 4 | 4 | 1 | 1000.00
             linear | T11 | 1 | 4 | 0.25 | 250.00
             linear | T12 | 2 | 4 | 0.25 | 250.00
             linear | T13 | 3 | 4 | 0.25 | 250.00
             linear | T14 | 4 | 4 | 0.25 | 250.00
             position_based | T11 | 1 | 4 | 0.4 | 400.00
             position_based | T12 | 2 | 4 | 0.1 | 100.00
             position_based | T13 | 3 | 4 | 0.1 | 100.00
             position_based | T14 | 4 | 4 | 0.4 | 400.00
             time_decay | T11 | 1 | 4 | 0.066667 | 66.67
             time_decay | T12 | 2 | 4 | 0.133333 | 133.33
             time_decay | T13 | 3 | 4 | 0.266667 | 266.67
             time_decay | T14 | 4 | 4 | 0.533333 | 533.33
             u_shaped_hubspot | T11 | 1 | 4 | 0.4 | 400.00
             u_shaped_hubspot | T12 | 2 | 4 | 0.1 | 100.00
             u_shaped_hubspot | T13 | 3 | 4 | 0.4 | 400.00
             u_shaped_hubspot | T14 | 4 | 4 | 0.1 | 100.00
             u_shaped_marketo | T11 | 1 | 4 | 0.5 | 500.00
             u_shaped_marketo | T13 | 3 | 4 | 0.5 | 500.00
             w_shaped | T11 | 1 | 4 | 0.3 | 300.00
             w_shaped | T12 | 2 | 4 | 0.1 | 100.00
             w_shaped | T13 | 3 | 4 | 0.6 | 600.00",
        )
        .await;
}

#[tokio::test]
async fn one_cent_over_two_direct_touches_goes_to_the_first() {
    // No lead, and the deal is older than its touches: LC and OC are absent.
    //   hubspot: 0.4 and 0.2 over 0.6. full_path: FT and CW, no others. marketo and w_shaped: FT alone.
    //   Half a cent is rounded away from zero: C(1) = 0.01, C(2) = 0.01.
    //   time_decay: T21 and T22 are 7 and 6 days before, so 1 and 2^(1/7) of 2.104090; C(1) = 0.004753 = 0.00.
    let company = attributed().await;
    company
        .assert(
            &shares_of("D2"),
            "first_touch | T21 | 1 | 2 | 1 | 0.01
             full_path | T21 | 1 | 2 | 0.5 | 0.01
             full_path | T22 | 2 | 2 | 0.5 | 0.00
             last_non_direct | T22 | 2 | 2 | 1 | 0.01
             last_touch | T22 | 2 | 2 | 1 | 0.01
             linear | T21 | 1 | 2 | 0.5 | 0.01
             linear | T22 | 2 | 2 | 0.5 | 0.00
             position_based | T21 | 1 | 2 | 0.5 | 0.01
             position_based | T22 | 2 | 2 | 0.5 | 0.00
             time_decay | T21 | 1 | 2 | 0.475265 | 0.00
             time_decay | T22 | 2 | 2 | 0.524735 | 0.01
             u_shaped_hubspot | T21 | 1 | 2 | 0.666667 | 0.01
             u_shaped_hubspot | T22 | 2 | 2 | 0.333333 | 0.00
             u_shaped_marketo | T21 | 1 | 2 | 1 | 0.01
             w_shaped | T21 | 1 | 2 | 1 | 0.01",
        )
        .await;
}

#[tokio::test]
async fn both_ends_of_the_lookback_are_in_it_and_ties_go_by_id() {
    // T30 is a microsecond too early and T34 one too late. C = 33.33, 66.67, 100.00.
    let company = attributed().await;
    let linear = "select touch_id, position, touch_count, credit from attribution
                  where opportunity_id = 'D3' and model = 'linear' order by position";
    company
        .assert(
            linear,
            "T31 | 1 | 3 | 33.33
             T32 | 2 | 3 | 33.34
             T33 | 3 | 3 | 33.33",
        )
        .await;
    let settings = [("attribution.lookback_days", "89.999")];
    company.assert_with(&settings, linear, "T33 | 1 | 1 | 100.00").await;
}

#[tokio::test]
async fn a_deal_is_worth_what_its_closing_day_says() {
    // 100.05 EUR x 1.10 = 110.055, half a cent away from zero; the rate of 2025-04-11 is later. GBP has no rate, D8 no
    // amount: they are worth 0.00 and keep their weights. D5 sees the touch of D4 too.
    let company = attributed().await;
    company
        .assert(
            "select month, opportunity_id, account_id, touch_id, channel, campaign_id, position, touch_count, weight,
                 credit
             from attribution where model = 'linear' and month >= date '2025-04-01' order by opportunity_id",
            "2025-04-01 | D4 | A4 | T41 | event | - | 1 | 1 | 1 | 110.06
             2025-04-01 | D5 | A4 | T41 | event | - | 1 | 1 | 1 | 0.00
             2025-05-01 | D6 | A5 | - | (unattributed) | - | - | 0 | 1 | 70.00
             2025-05-01 | D7 | - | - | (unattributed) | - | - | 0 | 1 | 30.00
             2025-05-01 | D8 | A5 | - | (unattributed) | - | - | 0 | 1 | 0.00",
        )
        .await;
}

#[tokio::test]
async fn only_live_won_deals_closed_before_as_of_are_conversions() {
    let company = attributed().await;
    let sql = "select opportunity_id, value, is_first from core.conversions order by opportunity_id";
    // D5 and D8 are the second of their accounts, D7 has none.
    company
        .assert(
            sql,
            "D1 | 1000.00 | true
             D2 | 0.01 | true
             D3 | 100.00 | true
             D4 | 110.06 | true
             D5 | 0.00 | false
             D6 | 70.00 | true
             D7 | 30.00 | false
             D8 | 0.00 | false",
        )
        .await;
    // At the very instant of its closing D1 is still open; a microsecond later it is won, and LATER never was.
    company
        .assert_with(&[("reporting.as_of", "2025-01-31T00:00:00Z")], "select count(*) from core.conversions", "0")
        .await;
    let settings = [("reporting.as_of", "2025-01-31T00:00:00.000001Z")];
    company.assert_with(&settings, "select opportunity_id from core.conversions", "D1").await;
}

#[tokio::test]
async fn with_contact_roles_only_the_people_of_the_deal_count() {
    // T1 is by P1, who has a role; T2 by P2, merged into P1; T3 by a lead that became P1. T4 is by P3 without a role, T5
    // has P1's email address alone, T6 the account alone.
    let company = company(
        "2025-06-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "crm.contacts",
                "contact_id | account_id | email | merged_into_id | is_deleted
                P1 | A1 | ann@one.com | - | false
                P2 | A1 | - | P1 | true
                P3 | A1 | - | - | false",
            ),
            (
                "crm.leads",
                "lead_id | created_at | converted_account_id | converted_contact_id
                L1 | 2025-01-02 | A1 | P2",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 90.00 | 2025-01-01 | 2025-01-31 | true | true
                D2 | A1 | 10.00 | 2025-01-01 | 2025-01-31 | true | true",
            ),
            (
                "crm.opportunity_contacts",
                "opportunity_id | contact_id | is_primary
                D1 | P2 | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | contact_id | lead_id | email | channel | touched_at
                T1 | - | P1 | - | - | c1 | 2025-01-11
                T2 | - | P2 | - | - | c2 | 2025-01-12
                T3 | - | - | L1 | - | c3 | 2025-01-13
                T4 | - | P3 | - | - | c4 | 2025-01-14
                T5 | - | - | - | ann@one.com | c5 | 2025-01-15
                T6 | A1 | - | - | - | c6 | 2025-01-16",
            ),
        ],
    )
    .await;
    let sql = "select opportunity_id, touch_id, channel, credit from attribution where model = 'linear'
               order by opportunity_id, position";
    let roles = [("attribution.touch_scope", "contact_roles")];
    company
        .assert_with(
            &roles,
            sql,
            "D1 | T1 | c1 | 30.00
             D1 | T2 | c2 | 30.00
             D1 | T3 | c3 | 30.00
             D2 | - | (unattributed) | 10.00",
        )
        .await;
    company.assert("select count(*) from attribution where model = 'linear' and opportunity_id = 'D1'", "6").await;
}

#[tokio::test]
async fn one_lead_is_chosen_before_a_touch_is_looked_for() {
    // D1: its account's lead of 01-05, carried by T12. D2: the account's lead is later than the deal, so LC is absent.
    // D3: its own lead is earlier than any touch, so LC is absent though the account's lead would find T31.
    // D4: the earlier of two leads of the deal. D5: the account's lead of a merged account.
    let company = company(
        "2025-06-01T00:00:00Z",
        &[
            (
                "crm.accounts",
                "account_id | merged_into_id
                A1 | -
                A2 | -
                A3 | -
                A4 | -
                A5 | -
                A6 | A5",
            ),
            (
                "crm.leads",
                "lead_id | created_at | converted_account_id | converted_opportunity_id
                L1 | 2025-01-05 | A1 | -
                L2 | 2025-01-11 | A2 | -
                L3 | 2024-12-01 | A3 | D3
                L4 | 2025-01-03 | A3 | -
                L5 | 2025-01-21 | A4 | D4
                L6 | 2025-01-05 | A4 | D4
                L7 | 2025-01-05 | A6 | -",
            ),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 1.00 | 2025-01-10 | 2025-01-31 | true | true
                D2 | A2 | 1.00 | 2025-01-10 | 2025-01-31 | true | true
                D3 | A3 | 1.00 | 2025-01-10 | 2025-01-31 | true | true
                D4 | A4 | 1.00 | 2025-01-10 | 2025-01-31 | true | true
                D5 | A5 | 1.00 | 2025-01-10 | 2025-01-31 | true | true",
            ),
            (
                "campaign.touches",
                "touch_id | account_id | channel | touched_at
                T11 | A1 | web | 2025-01-01
                T12 | A1 | web | 2025-01-05
                T13 | A1 | web | 2025-01-20
                T21 | A2 | web | 2025-01-01
                T22 | A2 | web | 2025-01-05
                T31 | A3 | web | 2025-01-01
                T32 | A3 | web | 2025-01-20
                T41 | A4 | web | 2025-01-01
                T42 | A4 | web | 2025-01-04
                T43 | A4 | web | 2025-01-20
                T51 | A5 | web | 2025-01-01
                T52 | A5 | web | 2025-01-04",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select opportunity_id, touch_id, weight from attribution where model = 'u_shaped_marketo'
             order by opportunity_id, position",
            "D1 | T11 | 0.5
             D1 | T12 | 0.5
             D2 | T21 | 1
             D3 | T31 | 1
             D4 | T41 | 0.5
             D4 | T42 | 0.5
             D5 | T51 | 0.5
             D5 | T52 | 0.5",
        )
        .await;
}
