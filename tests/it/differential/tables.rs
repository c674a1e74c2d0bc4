//! A company as the texts that Parquet files are made from.

use super::calendar::shown;
use super::company::{Company, Rows};
use super::exact::money;

/// Returns the tables of a company with their names.
pub fn tables(company: &Company) -> Vec<(&'static str, String)> {
    let mut tables = sales(company);
    tables.extend(bills(company));
    tables
}

fn sales(company: &Company) -> Vec<(&'static str, String)> {
    let accounts = text("account_id | domain | segment | merged_into_id | is_deleted", &company.accounts, |row| {
        vec![word(row.domain), word(row.segment), id(&row.merged_into), row.is_deleted.to_string()]
    });
    let contacts = text("contact_id | account_id | email | merged_into_id | is_deleted", &company.contacts, |row| {
        vec![id(&row.account), word(row.email), id(&row.merged_into), row.is_deleted.to_string()]
    });
    let leads = text(
        "lead_id | email | created_at | converted_account_id | converted_contact_id | converted_opportunity_id | \
         merged_into_id | is_deleted",
        &company.leads,
        |row| {
            vec![
                word(row.email),
                shown(row.created_at),
                id(&row.account),
                id(&row.contact),
                id(&row.opportunity),
                id(&row.merged_into),
                row.is_deleted.to_string(),
            ]
        },
    );
    let opportunities = text(
        "opportunity_id | account_id | type | amount | currency | created_at | closed_at | is_closed | is_won | \
         is_deleted",
        &company.opportunities,
        |row| {
            vec![
                id(&row.account),
                row.kind.to_owned(),
                row.amount.map_or_else(nothing, money),
                row.currency.to_owned(),
                shown(row.created_at),
                row.closed_at.map_or_else(nothing, shown),
                row.is_closed.to_string(),
                row.is_won.to_string(),
                row.is_deleted.to_string(),
            ]
        },
    );
    let mut roles = "opportunity_id | contact_id".to_owned();
    for (opportunity, contact) in &company.roles {
        roles.push_str(&format!("\n{opportunity} | {contact}"));
    }
    let touches = text(
        "touch_id | touched_at | channel | campaign_id | account_id | contact_id | lead_id | email",
        &company.touches,
        |row| {
            vec![
                shown(row.touched_at),
                row.channel.to_owned(),
                word(row.campaign),
                id(&row.account),
                id(&row.contact),
                id(&row.lead),
                word(row.email),
            ]
        },
    );
    vec![
        ("crm.accounts", accounts),
        ("crm.contacts", contacts),
        ("crm.leads", leads),
        ("crm.opportunities", opportunities),
        ("crm.opportunity_contacts", roles),
        ("campaign.touches", touches),
    ]
}

fn bills(company: &Company) -> Vec<(&'static str, String)> {
    let customers = text("customer_id | account_id | email | merged_into_id | is_deleted", &company.customers, |row| {
        vec![id(&row.account), word(row.email), id(&row.merged_into), row.is_deleted.to_string()]
    });
    let instant = |at: Option<i64>| at.map_or_else(nothing, shown);
    let subscriptions = text(
        "subscription_id | customer_id | status | started_at | trial_ends_at | canceled_at | ended_at",
        &company.subscriptions,
        |row| {
            let ends = [row.trial_ends_at, row.canceled_at, row.ended_at].map(instant);
            let mut cells = vec![row.customer.clone(), row.status.to_owned(), shown(row.started_at)];
            cells.extend(ends);
            cells
        },
    );
    let items = text(
        "item_id | subscription_id | quantity | unit_amount | currency | interval | interval_count | discount_pct | \
         effective_from | effective_to",
        &company.items,
        |row| {
            vec![
                row.subscription.clone(),
                four_places(row.quantity),
                four_places(row.unit_amount),
                row.currency.to_owned(),
                row.interval.to_owned(),
                row.interval_count.to_string(),
                row.discount.map_or_else(nothing, four_places),
                row.from.to_string(),
                row.to.map_or_else(nothing, |day| day.to_string()),
            ]
        },
    );
    let payments = text("payment_id | customer_id | status | amount | currency | paid_at", &company.payments, |row| {
        vec![
            row.customer.clone(),
            row.status.to_owned(),
            money(row.amount),
            row.currency.to_owned(),
            shown(row.paid_at),
        ]
    });
    let refunds = text("refund_id | payment_id | amount | currency | refunded_at", &company.refunds, |row| {
        vec![row.payment.clone(), money(row.amount), row.currency.to_owned(), shown(row.refunded_at)]
    });
    let mut rates = "currency | rate_date | rate".to_owned();
    for ((currency, day), rate) in &company.rates {
        rates.push_str(&format!("\n{currency} | {day} | {}.{:08}", rate / 100_000_000, rate % 100_000_000));
    }
    vec![
        ("billing.customers", customers),
        ("billing.subscriptions", subscriptions),
        ("billing.subscription_items", items),
        ("billing.payments", payments),
        ("billing.refunds", refunds),
        ("finance.fx_rates", rates),
    ]
}

/// Returns a table as a text, its rows against the order of their ids.
fn text<T>(head: &str, rows: &Rows<T>, cells: impl Fn(&T) -> Vec<String>) -> String {
    let mut text = head.to_owned();
    for (id, row) in rows.iter().rev() {
        text.push_str(&format!("\n{id} | {}", cells(row).join(" | ")));
    }
    text
}

fn nothing() -> String {
    "-".to_owned()
}

fn word(word: Option<&str>) -> String {
    word.unwrap_or("-").to_owned()
}

fn id(id: &Option<String>) -> String {
    word(id.as_deref())
}

fn four_places(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", value.abs() / 10_000, value.abs() % 10_000)
}
