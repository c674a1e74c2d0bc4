//! What the columns of native operators are made of; a column that is not named here is its input's of the same name.

use crate::models::sidecar::OperatorKind;

/// What identity follows from a row to the account or contact that it belongs to.
const CLUES: [&str; 11] = [
    "account_id",
    "contact_id",
    "lead_id",
    "customer_id",
    "email",
    "domain",
    "merged_into_id",
    "is_deleted",
    "converted_account_id",
    "converted_contact_id",
    "live_account_id",
];

/// Returns the columns of the inputs that a column is made of; `None` where it is the input's column of its name.
pub(super) fn made_of(operator: OperatorKind, column: &str) -> Option<&'static [&'static str]> {
    use OperatorKind::{Credit, CreditSums, FirstTouches};
    match (operator, column) {
        (FirstTouches, "channel") => Some(&["channel"]),
        (FirstTouches, "first_touch_at") => Some(&["touched_at"]),
        (Credit | CreditSums, "model") => Some(&[]),
        (Credit | CreditSums, "position" | "touch_count") => Some(&["touched_at", "closed_at"]),
        (Credit | CreditSums, "weight") => Some(&["touched_at", "closed_at", "created_at", "channel"]),
        (Credit | CreditSums, "credit") => Some(&["value", "touched_at", "closed_at", "created_at", "channel"]),
        (_, "is_live") => Some(&["merged_into_id", "is_deleted"]),
        (_, "live_account_id" | "live_contact_id" | "person_id") => Some(&CLUES),
        _ => of_identity_or_revenue(operator, column),
    }
}

fn of_identity_or_revenue(operator: OperatorKind, column: &str) -> Option<&'static [&'static str]> {
    match (operator, column) {
        (OperatorKind::IdentifyCustomers, "entity_id") => Some(&CLUES),
        (OperatorKind::MrrMonths, "month") => Some(&["first_month", "last_month"]),
        (OperatorKind::MrrMonths, "entity_id") => None,
        (OperatorKind::MrrMonths, _) => Some(&["amount", "rate"]),
        _ => None,
    }
}

/// Returns the columns of the inputs by which an operator brings rows together.
pub(super) fn joined_on(operator: OperatorKind) -> &'static [&'static str] {
    match operator {
        OperatorKind::Credit | OperatorKind::CreditSums => {
            &["live_account_id", "account_id", "opportunity_id", "converted_opportunity_id", "person_id", "touched_at"]
        }
        OperatorKind::MrrMonths => &["currency", "month", "first_month", "last_month"],
        _ => &[],
    }
}
