//! A company small enough to be wrong on purpose: two customers, three deals, five touches.

use crate::project::{Project, Table, cents, dates, decimals, doubles, flags, instants, integers, texts};

/// The configuration of [`lay_out`].
pub const CONFIGURATION: &str = r#"
[reporting]
as_of = "2026-04-01T00:00:00Z"

[sources.crm]
connector = "canonical"
location = "crm"

[sources.billing]
connector = "canonical"
location = "billing"

[sources.campaign]
connector = "canonical"
location = "campaign"

[sources.finance]
connector = "canonical"
location = "finance"
"#;

/// Queries that between them read every column of the company that a metric reads.
pub const QUESTIONS: [&str; 6] = [
    "select * from attribution order by model, opportunity_id, position",
    "select * from attribution_by_channel order by month, model, channel",
    "select * from cac_by_channel order by month, model, channel",
    "select * from mrr order by month, account_id",
    "select * from nrr order by month",
    "select account_id, name, domain, segment, employee_count, created_at, is_deleted from crm.accounts order by 1",
];

/// Writes the whole company into a project.
pub fn lay_out(project: &Project) {
    project.text("topline.toml", CONFIGURATION);
    for (file, table) in tables() {
        project.parquet(file, &table);
    }
}

/// Returns the tables of the company with their files.
pub fn tables() -> [(&'static str, Table); 9] {
    [
        ("crm/accounts.parquet", accounts()),
        ("crm/contacts.parquet", contacts()),
        ("crm/opportunities.parquet", opportunities()),
        ("campaign/touches.parquet", touches()),
        ("campaign/spend.parquet", spend()),
        ("billing/customers.parquet", customers()),
        ("billing/subscriptions.parquet", subscriptions()),
        ("billing/subscription_items.parquet", subscription_items()),
        ("finance/fx_rates.parquet", fx_rates()),
    ]
}

pub fn accounts() -> Table {
    Table::new()
        .with("account_id", texts(["a1", "a2", "a3"]))
        .with("name", texts(["Acme", "Bolt", "Cog"]))
        .with("domain", texts(["acme.example", "", "cog.example"]))
        .with("segment", texts(["smb", "enterprise", ""]))
        .with("employee_count", integers([12, 3000, 7]))
        .with("created_at", instants(["2026-01-01T00:00:00Z", "2026-01-05T09:30:00Z", "2026-02-01T00:00:00Z"]))
        .with("is_deleted", flags([false, false, false]))
}

pub fn contacts() -> Table {
    Table::new()
        .with("contact_id", texts(["c1", "c2"]))
        .with("account_id", texts(["a1", "a2"]))
        .with("email", texts(["ann@acme.example", "bob@bolt.example"]))
        .with("created_at", instants(["2026-01-02T00:00:00Z", "2026-01-05T09:30:00Z"]))
        .with("is_deleted", flags([false, false]))
}

pub fn opportunities() -> Table {
    Table::new()
        .with("opportunity_id", texts(["o1", "o2", "o3"]))
        .with("account_id", texts(["a1", "a2", "a3"]))
        .with("type", texts(["new", "new", "renewal"]))
        .with("stage", texts(["won", "won", "proposal"]))
        .with("amount", cents([100_000, 50_001, 7_000]))
        .with("currency", texts(["USD", "EUR", "USD"]))
        .with("probability", doubles([1.0, 1.0, 0.5]))
        .with("created_at", instants(["2026-01-02T00:00:00Z", "2026-01-20T00:00:00Z", "2026-03-01T00:00:00Z"]))
        .with("close_date", dates(["2026-02-01", "2026-03-01", "2026-05-01"]))
        .with("closed_at", instants(["2026-02-10T12:00:00Z", "2026-03-05T12:00:00Z", ""]))
        .with("is_closed", flags([true, true, false]))
        .with("is_won", flags([true, true, false]))
        .with("is_deleted", flags([false, false, false]))
}

pub fn touches() -> Table {
    Table::new()
        .with("touch_id", texts(["t1", "t2", "t3", "t4", "t5"]))
        .with(
            "touched_at",
            instants([
                "2026-01-03T10:00:00Z",
                "2026-01-15T11:00:00Z",
                "2026-02-09T12:00:00Z",
                "2026-02-20T13:00:00Z",
                "2026-03-01T14:00:00Z",
            ]),
        )
        .with("touch_type", texts(["visit", "call", "visit", "visit", "mail"]))
        .with("channel", texts(["ads", "sales", "direct", "ads", "email"]))
        .with("campaign_id", texts(["k1", "", "", "k1", "k2"]))
        .with("account_id", texts(["a1", "a1", "", "", "a2"]))
        .with("email", texts(["", "", "ann@acme.example", "bob@bolt.example", ""]))
}

pub fn spend() -> Table {
    Table::new()
        .with("spend_date", dates(["2026-01-10", "2026-02-10", "2026-03-10"]))
        .with("campaign_id", texts(["k1", "k1", "k2"]))
        .with("channel", texts(["ads", "ads", "email"]))
        .with("amount", cents([12_000, 8_000, 2_550]))
        .with("currency", texts(["USD", "USD", "EUR"]))
        .with("clicks", integers([10, 20, 30]))
}

pub fn customers() -> Table {
    Table::new()
        .with("customer_id", texts(["b1", "b2"]))
        .with("account_id", texts(["a1", ""]))
        .with("email", texts(["", "bob@bolt.example"]))
        .with("created_at", instants(["2026-01-10T00:00:00Z", "2026-01-12T00:00:00Z"]))
        .with("is_deleted", flags([false, false]))
}

pub fn subscriptions() -> Table {
    Table::new()
        .with("subscription_id", texts(["s1", "s2"]))
        .with("customer_id", texts(["b1", "b2"]))
        .with("status", texts(["active", "canceled"]))
        .with("started_at", instants(["2026-01-10T00:00:00Z", "2026-01-12T00:00:00Z"]))
        .with("ended_at", instants(["", "2026-03-10T00:00:00Z"]))
}

/// Subscription s1 goes from 10 to 14 seats; s2 pays by the year in euros.
pub fn subscription_items() -> Table {
    Table::new()
        .with("item_id", texts(["i1", "i2", "i3"]))
        .with("subscription_id", texts(["s1", "s1", "s2"]))
        .with("product", texts(["seats", "seats", "platform"]))
        .with("quantity", decimals([100_000, 140_000, 10_000], 18, 4))
        .with("unit_amount", decimals([95_000, 95_000, 6_000_000], 18, 4))
        .with("currency", texts(["USD", "USD", "EUR"]))
        .with("interval", texts(["month", "month", "year"]))
        .with("interval_count", integers([1, 1, 1]))
        .with("effective_from", dates(["2026-01-10", "2026-02-15", "2026-01-12"]))
        .with("effective_to", dates(["2026-02-15", "", ""]))
}

pub fn fx_rates() -> Table {
    Table::new()
        .with("currency", texts(["EUR", "EUR"]))
        .with("rate_date", dates(["2026-01-01", "2026-03-01"]))
        .with("rate", decimals([110_000_000, 125_000_000], 18, 8))
}
