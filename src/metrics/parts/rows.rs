//! The rows of one part: which record, which period, what it adds, and its dimensions as texts.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::models::parts::{ENTITY, Parts, Value};

/// The dimensions that rows with an account have, columns of `crm.accounts`.
pub(super) const OF_ACCOUNTS: [&str; 3] = ["country", "industry", "segment"];

/// The dimensions that rows with a deal have, with their columns of `crm.opportunities`.
pub(super) const OF_OPPORTUNITIES: [(&str, &str); 2] = [("opportunity_type", "type"), ("owner_id", "owner_id")];

/// What stands for a dimension that a record does not have.
pub(super) const NONE: &str = "(none)";

/// What a row adds that adds nothing; a union makes it the type of the others.
const NOTHING: &str = "cast(null as bigint)";

/// What rows have besides record, period and what they add.
#[derive(Debug, Default)]
pub(super) struct Besides {
    /// Dimensions, as texts.
    pub(super) columns: BTreeSet<String>,
    /// Whether the name that people know the record by.
    pub(super) has_label: bool,
}

/// Returns the SQL of the rows of one part, of one period where one is named.
pub(super) fn rows_of(parts: &Parts, value: &Value, besides: &Besides, period: Option<&str>) -> String {
    let mut own = String::new();
    let mut shown = String::new();
    let (mut with_account, mut with_opportunity) = (false, false);
    for column in &besides.columns {
        let source = if parts.dimensions.contains(column) {
            let _ = write!(own, ", {column} as own_{column}");
            format!("facts.own_{column}")
        } else if OF_ACCOUNTS.contains(&column.as_str()) {
            with_account = true;
            format!("of_accounts.{column}")
        } else {
            with_opportunity = true;
            let of_deal = OF_OPPORTUNITIES.iter().find(|(name, _)| *name == column).map_or("", |(_, source)| source);
            format!("of_opportunities.{of_deal}")
        };
        let _ = write!(shown, ", coalesce(cast({source} as varchar), '{NONE}') as {column}");
    }
    let (mut joins, mut keys) = (String::new(), String::new());
    if let Some(account) = parts.account.as_deref().filter(|_| with_account) {
        let _ = write!(keys, ", {account} as own_account");
        joins += " left join crm.accounts as of_accounts on of_accounts.account_id = facts.own_account";
    }
    if let Some(opportunity) = parts.opportunity.as_deref().filter(|_| with_opportunity) {
        let _ = write!(keys, ", {opportunity} as own_opportunity");
        joins += " left join crm.opportunities as of_opportunities \
                  on of_opportunities.opportunity_id = facts.own_opportunity";
    }
    if besides.has_label {
        let (label, join) = label_of(&parts.table);
        let _ = write!(shown, ", {label} as label");
        joins += join;
    }
    let mut conditions: Vec<String> = parts.filter.iter().map(|filter| format!("({filter})")).collect();
    conditions.extend(period.map(|period| format!("{} = {period}", parts.period)));
    let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" and ") };
    let is_select = parts.from.trim_start().starts_with("select") || parts.from.trim_start().starts_with("with");
    let from = if is_select { format!("({}) as own_rows", parts.from.trim()) } else { parts.from.clone() };
    let (table, key) = record_of(parts);
    format!(
        "select facts.table_name, facts.source_key, facts.numerator, facts.denominator, facts.period{shown} from (\
         select {table} as table_name, {key} as source_key, {numerator} as numerator, {denominator} as denominator, \
         {period} as period{own}{keys} from {from} where {condition}) as facts{joins}",
        numerator = value.numerator().unwrap_or(NOTHING),
        denominator = value.denominator().unwrap_or(NOTHING),
        period = parts.period,
    )
}

/// Returns the SQL of the source table and of the key of the record that a row is of.
fn record_of(parts: &Parts) -> (String, String) {
    let key = match parts.key.as_slice() {
        [one] => format!("cast({one} as varchar)"),
        several => {
            let texts: Vec<String> =
                several.iter().map(|column| format!("coalesce(cast({column} as varchar), '')")).collect();
            format!("concat_ws('|', {})", texts.join(", "))
        }
    };
    if parts.table != ENTITY {
        return (format!("'{}'", parts.table), key);
    }
    (
        format!("case when starts_with({key}, 'billing:') then 'billing.customers' else 'crm.accounts' end"),
        format!("case when starts_with({key}, 'billing:') then substr({key}, 9) else {key} end"),
    )
}

/// Returns the SQL of a record's name, and of the join that brings it.
fn label_of(table: &str) -> (&'static str, &'static str) {
    match table {
        ENTITY | "crm.accounts" => (
            "known_accounts.name",
            " left join crm.accounts as known_accounts \
             on known_accounts.account_id = facts.source_key and facts.table_name = 'crm.accounts'",
        ),
        "crm.opportunities" => (
            "known_opportunities.name",
            " left join crm.opportunities as known_opportunities \
             on known_opportunities.opportunity_id = facts.source_key",
        ),
        _ => ("cast(null as varchar)", ""),
    }
}
