//! The tables of the contract, column by column.

use super::table::Kind::{Date, Decimal, Double, Flag, Instant, Int, Key, Text};
use super::table::{Column, Kind, Table};

const MONEY: Kind = Decimal(18, 2);
const PRICE: Kind = Decimal(18, 4);
const QUANTITY: Kind = Decimal(18, 4);
const PERCENT: Kind = Decimal(9, 4);
const RATE: Kind = Decimal(18, 8);

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_nullable: false }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_nullable: true }
}

/// `crm.accounts`.
pub static ACCOUNTS: Table = Table {
    schema: "crm",
    name: "accounts",
    columns: &[
        must("account_id", Key),
        must("name", Text),
        may("domain", Text),
        may("industry", Text),
        may("segment", Text),
        may("country", Text),
        may("employee_count", Int),
        must("created_at", Instant),
        may("merged_into_id", Text),
        must("is_deleted", Flag),
    ],
};

/// `crm.contacts`.
pub static CONTACTS: Table = Table {
    schema: "crm",
    name: "contacts",
    columns: &[
        must("contact_id", Key),
        may("account_id", Text),
        may("email", Text),
        must("created_at", Instant),
        may("merged_into_id", Text),
        must("is_deleted", Flag),
    ],
};

/// `crm.leads`.
pub static LEADS: Table = Table {
    schema: "crm",
    name: "leads",
    columns: &[
        must("lead_id", Key),
        may("email", Text),
        may("company", Text),
        may("source", Text),
        may("status", Text),
        must("created_at", Instant),
        may("first_response_at", Instant),
        may("qualified_at", Instant),
        may("converted_at", Instant),
        may("converted_account_id", Text),
        may("converted_contact_id", Text),
        may("converted_opportunity_id", Text),
        may("merged_into_id", Text),
        must("is_deleted", Flag),
    ],
};

/// `crm.opportunities`.
pub static OPPORTUNITIES: Table = Table {
    schema: "crm",
    name: "opportunities",
    columns: &[
        must("opportunity_id", Key),
        may("account_id", Text),
        may("name", Text),
        must("type", Text),
        must("stage", Text),
        may("amount", MONEY),
        must("currency", Text),
        may("probability", Double),
        may("forecast_category", Text),
        must("created_at", Instant),
        may("close_date", Date),
        may("closed_at", Instant),
        must("is_closed", Flag),
        must("is_won", Flag),
        may("owner_id", Text),
        may("campaign_id", Text),
        must("is_deleted", Flag),
    ],
};

/// `crm.opportunity_history`.
pub static OPPORTUNITY_HISTORY: Table = Table {
    schema: "crm",
    name: "opportunity_history",
    columns: &[
        must("opportunity_id", Text),
        must("changed_at", Instant),
        must("stage", Text),
        may("amount", MONEY),
        may("probability", Double),
        may("forecast_category", Text),
        may("close_date", Date),
    ],
};

/// `crm.opportunity_contacts`.
pub static OPPORTUNITY_CONTACTS: Table = Table {
    schema: "crm",
    name: "opportunity_contacts",
    columns: &[must("opportunity_id", Text), must("contact_id", Text), may("role", Text), must("is_primary", Flag)],
};

/// `crm.stages`.
pub static STAGES: Table = Table {
    schema: "crm",
    name: "stages",
    columns: &[must("stage", Text), must("position", Int), must("is_closed", Flag), must("is_won", Flag)],
};

/// `billing.customers`.
pub static CUSTOMERS: Table = Table {
    schema: "billing",
    name: "customers",
    columns: &[
        must("customer_id", Key),
        may("account_id", Text),
        may("email", Text),
        must("created_at", Instant),
        may("merged_into_id", Text),
        must("is_deleted", Flag),
    ],
};

/// `billing.subscriptions`.
pub static SUBSCRIPTIONS: Table = Table {
    schema: "billing",
    name: "subscriptions",
    columns: &[
        must("subscription_id", Key),
        must("customer_id", Text),
        must("status", Text),
        must("started_at", Instant),
        may("trial_ends_at", Instant),
        may("canceled_at", Instant),
        may("ended_at", Instant),
    ],
};

/// `billing.subscription_items`.
pub static SUBSCRIPTION_ITEMS: Table = Table {
    schema: "billing",
    name: "subscription_items",
    columns: &[
        must("item_id", Key),
        must("subscription_id", Text),
        must("product", Text),
        must("quantity", QUANTITY),
        must("unit_amount", PRICE),
        must("currency", Text),
        must("interval", Text),
        must("interval_count", Int),
        may("discount_pct", PERCENT),
        must("effective_from", Date),
        may("effective_to", Date),
    ],
};

/// `billing.invoices`.
pub static INVOICES: Table = Table {
    schema: "billing",
    name: "invoices",
    columns: &[
        must("invoice_id", Key),
        must("customer_id", Text),
        may("subscription_id", Text),
        must("status", Text),
        must("issued_at", Instant),
        may("due_at", Instant),
        may("paid_at", Instant),
        must("subtotal", MONEY),
        must("tax", MONEY),
        must("total", MONEY),
        must("currency", Text),
    ],
};

/// `billing.payments`.
pub static PAYMENTS: Table = Table {
    schema: "billing",
    name: "payments",
    columns: &[
        must("payment_id", Key),
        must("customer_id", Text),
        may("invoice_id", Text),
        must("status", Text),
        must("amount", MONEY),
        must("currency", Text),
        must("paid_at", Instant),
    ],
};

/// `billing.refunds`.
pub static REFUNDS: Table = Table {
    schema: "billing",
    name: "refunds",
    columns: &[
        must("refund_id", Key),
        must("payment_id", Text),
        must("amount", MONEY),
        must("currency", Text),
        must("refunded_at", Instant),
    ],
};

/// `campaign.campaigns`.
pub static CAMPAIGNS: Table = Table {
    schema: "campaign",
    name: "campaigns",
    columns: &[
        must("campaign_id", Text),
        must("name", Text),
        must("channel", Text),
        may("type", Text),
        may("start_date", Date),
        may("end_date", Date),
        may("budget", MONEY),
        may("currency", Text),
    ],
};

/// `campaign.spend`.
pub static SPEND: Table = Table {
    schema: "campaign",
    name: "spend",
    columns: &[
        must("spend_date", Date),
        must("campaign_id", Text),
        must("channel", Text),
        may("platform", Text),
        must("amount", MONEY),
        must("currency", Text),
        may("impressions", Int),
        may("clicks", Int),
    ],
};

/// `campaign.touches`.
pub static TOUCHES: Table = Table {
    schema: "campaign",
    name: "touches",
    columns: &[
        must("touch_id", Key),
        must("touched_at", Instant),
        must("touch_type", Text),
        must("channel", Text),
        may("campaign_id", Text),
        may("account_id", Text),
        may("contact_id", Text),
        may("lead_id", Text),
        may("email", Text),
    ],
};

/// `finance.fx_rates`.
pub static FX_RATES: Table = Table {
    schema: "finance",
    name: "fx_rates",
    columns: &[must("currency", Text), must("rate_date", Date), must("rate", RATE)],
};

/// `finance.costs`.
pub static COSTS: Table = Table {
    schema: "finance",
    name: "costs",
    columns: &[
        must("month", Date),
        must("department", Text),
        must("category", Text),
        may("channel", Text),
        must("amount", MONEY),
        must("currency", Text),
    ],
};

/// `finance.headcount`.
pub static HEADCOUNT: Table =
    Table { schema: "finance", name: "headcount", columns: &[must("month", Date), must("headcount", Int)] };

/// `finance.gross_margin`.
pub static GROSS_MARGIN: Table =
    Table { schema: "finance", name: "gross_margin", columns: &[must("month", Date), must("gross_margin", Double)] };

/// `finance.targets`.
pub static TARGETS: Table = Table {
    schema: "finance",
    name: "targets",
    columns: &[must("metric", Text), must("month", Date), may("segment", Text), must("target", Double)],
};
