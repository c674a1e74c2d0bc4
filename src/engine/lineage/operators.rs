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

/// What the weight of a touch follows from: when it, the deal and the lead were, and the channel for last_non_direct.
const WEIGHT: [&str; 4] = ["touched_at", "closed_at", "created_at", "channel"];

/// The same with the value that is credited.
const CREDIT: [&str; 5] = ["value", "touched_at", "closed_at", "created_at", "channel"];

/// Returns the columns of the inputs that a column is made of; `None` where it is the input's column of its name.
pub(super) fn made_of(operator: OperatorKind, column: &str) -> Option<&'static [&'static str]> {
    match operator {
        OperatorKind::IdentifyAccounts
        | OperatorKind::IdentifyContacts
        | OperatorKind::IdentifyLeads
        | OperatorKind::IdentifyCustomers
        | OperatorKind::IdentifyTouches => match column {
            "is_live" => Some(&["merged_into_id", "is_deleted"]),
            "live_account_id" | "live_contact_id" | "entity_id" | "person_id" => Some(&CLUES),
            _ => None,
        },
        OperatorKind::FirstTouches => match column {
            "live_account_id" => Some(&CLUES),
            "first_touch_at" => Some(&["touched_at"]),
            _ => None,
        },
        OperatorKind::MrrMonths | OperatorKind::MrrWeeks => match column {
            "entity_id" => None,
            "month" | "week" | "first_month" | "first_week" => Some(&["first_period", "last_period"]),
            _ => Some(&["amount", "rate"]),
        },
        OperatorKind::Credit
        | OperatorKind::CreditSums
        | OperatorKind::PipelineCredit
        | OperatorKind::PipelineCreditSums
        | OperatorKind::ChannelCredit => match column {
            "model" => Some(&[]),
            "position" | "touch_count" => Some(&["touched_at", "closed_at"]),
            "weight" => Some(&WEIGHT),
            "credit" => Some(&CREDIT),
            _ => None,
        },
    }
}

/// Returns the columns of the inputs by which an operator brings rows together.
pub(super) fn joined_on(operator: OperatorKind) -> &'static [&'static str] {
    match operator {
        OperatorKind::Credit
        | OperatorKind::CreditSums
        | OperatorKind::PipelineCredit
        | OperatorKind::PipelineCreditSums => {
            &["live_account_id", "account_id", "opportunity_id", "converted_opportunity_id", "person_id", "touched_at"]
        }
        OperatorKind::ChannelCredit => &CLUES,
        OperatorKind::MrrMonths | OperatorKind::MrrWeeks => {
            &["currency", "month", "week", "first_period", "last_period"]
        }
        _ => &[],
    }
}
