//! Publishing: months that do not move, and the record of those that did.

mod acceleration;
mod closing;
mod crashes;
mod faults;
mod histories;
mod months;
mod own_metrics;
mod reach;
mod runs;
mod upgrades;
mod vacuum;
mod verifying;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use topline::Result;
use topline::engine::Engine;
use topline::publish::{Months, Outcome, Report, Request, Unchanged, materialize};

use crate::company;
use crate::project::{Project, Table, answer, cents, flags, instants, texts};

/// A metric of one's own: what was paid, with a law that a large month breaks.
const PAID_SQL: &str = "select
    local_month(paid_at) as month,
    cast(sum(amount) as decimal(18, 2)) as paid,
    count(*) as payments,
    local_month(paid_at) < local_month(setting('reporting.as_of')) as is_complete
from billing.payments
where paid_at < setting('reporting.as_of')
group by local_month(paid_at)
";

const PAID_SIDECAR: &str = r#"
description = "What was paid in a month."
grain = "month"
key = ["month"]
period = "month"
columns = [
    ["month", "date", "month"],
    ["paid", "money", "payments"],
    ["payments", "count", "how many"],
    ["is_complete", "flag", "whether the month has ended at as_of"],
]

[[checks]]
name = "nobody_pays_a_thousand"
description = "No month has a thousand."
sql = "select month, paid from metrics.paid where paid >= 1000"
"#;

/// A metric that is published whole: all that was ever paid.
const EVER_SQL: &str = "select
    'all' as scope,
    cast(sum(amount) as decimal(18, 2)) as paid
from billing.payments
where paid_at < setting('reporting.as_of')
";

const EVER_SIDECAR: &str = r#"
description = "What was paid."
grain = "scope"
key = ["scope"]
columns = [
    ["scope", "text", "all"],
    ["paid", "money", "payments"],
]
"#;

/// A metric that merges change.
const BY_ENTITY_SQL: &str = "select
    identity.entity_id,
    cast(sum(payments.amount) as decimal(18, 2)) as paid,
    local_month(payments.paid_at) < local_month(setting('reporting.as_of')) as is_complete,
    local_month(payments.paid_at) as month
from billing.payments as payments
inner join core.customer_identity as identity on identity.customer_id = payments.customer_id
where payments.paid_at < setting('reporting.as_of')
group by identity.entity_id, local_month(payments.paid_at)
";

const BY_ENTITY_SIDECAR: &str = r#"
description = "What an entity paid in a month."
grain = "month, entity"
key = ["month", "entity_id"]
period = "month"
columns = [
    ["entity_id", "text", "entity"],
    ["paid", "money", "payments"],
    ["is_complete", "flag", "whether the month has ended at as_of"],
    ["month", "date", "month"],
]
"#;

/// The metrics that read payments.
const PAID: [&str; 2] = ["paid", "revenue"];

/// A company with payments in two files, one of which comes later, and a warehouse.
struct Shop {
    project: Project,
}

impl Shop {
    fn new() -> Self {
        let project = Project::new();
        company::lay_out(&project);
        let configuration = format!(
            "{}\n[warehouse]\nlocation = \"warehouse\"\n\n[models]\nlocation = \"models\"\n",
            company::CONFIGURATION
        );
        project.text("topline.toml", &configuration);
        project.text("models/metrics/paid.sql", PAID_SQL);
        project.text("models/metrics/paid.toml", PAID_SIDECAR);
        project.parquet("billing/invoices.parquet", &invoices());
        let first =
            payments(["p1", "p2", "p3"], ["2026-01-15T10:00:00Z", "2026-02-15T10:00:00Z", "2026-03-15T10:00:00Z"]);
        project.parquet("billing/payments/first.parquet", &first.with("amount", cents([10_000, 10_000, 10_000])));
        Self { project }
    }

    async fn open(&self) -> Engine {
        self.project.open().await.expect("the project opens")
    }

    async fn open_with(&self, variables: &[(&str, &str)]) -> Engine {
        let config = self.project.config(variables).expect("a right configuration");
        Engine::open(config).await.expect("the project opens")
    }

    /// Writes a payment of February.
    fn pay_late(&self, amount: i64) {
        let late = payments(["p4"], ["2026-02-20T10:00:00Z"]).with("amount", cents([amount]));
        self.project.parquet("billing/payments/late.parquet", &late);
    }

    /// Merges an account into another, or takes that back.
    fn merge(&self, is_merged: bool) {
        let accounts = company::accounts()
            .with("is_deleted", flags([false, is_merged, false]))
            .with("merged_into_id", texts(["", if is_merged { "a1" } else { "" }, ""]));
        self.project.parquet("crm/accounts.parquet", &accounts);
    }

    /// Returns every file of the warehouse with its bytes and the time of its last change.
    fn listing(&self) -> BTreeMap<String, (u64, std::time::SystemTime)> {
        let root = self.project.path("warehouse");
        let mut found = BTreeMap::new();
        list(&root, &root, &mut found);
        found
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topline"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOPLINE_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.project.path("")).stdin(Stdio::null());
        command
    }
}

fn list(root: &Path, folder: &Path, found: &mut BTreeMap<String, (u64, std::time::SystemTime)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            let about = path.metadata().expect("a file");
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.insert(name, (about.len(), about.modified().expect("a time")));
        }
    }
}

fn invoices() -> Table {
    Table::new()
        .with("invoice_id", texts(["v1"]))
        .with("customer_id", texts(["b1"]))
        .with("status", texts(["paid"]))
        .with("issued_at", instants(["2026-01-14T00:00:00Z"]))
        .with("subtotal", cents([9_000]))
        .with("tax", cents([1_000]))
        .with("total", cents([10_000]))
        .with("currency", texts(["USD"]))
}

fn payments<const N: usize>(ids: [&str; N], at: [&str; N]) -> Table {
    Table::new()
        .with("payment_id", texts(ids))
        .with("customer_id", texts(["b1"; N]))
        .with("status", texts(["succeeded"; N]))
        .with("currency", texts(["USD"; N]))
        .with("paid_at", instants(at))
}

/// Returns a request for all months that are due of some metrics; none are all.
fn due(metrics: &[&str]) -> Request {
    Request {
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
        months: Months::Due,
        unchanged: Unchanged::IsKept,
        job: None,
    }
}

async fn publish(engine: &Engine, metrics: &[&str]) -> Report {
    materialize(engine, &due(metrics), &|_| {}).await.expect("it publishes")
}

async fn try_publish(engine: &Engine, metrics: &[&str]) -> Result<Report> {
    materialize(engine, &due(metrics), &|_| {}).await
}

/// Returns the months of a report that an outcome is of, with their metrics: `revenue 2026-02`.
fn with_outcome(report: &Report, is_one: impl Fn(&Outcome) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (metric, months) in &report.metrics {
        found
            .extend(months.iter().filter(|(_, outcome)| is_one(outcome)).map(|(month, _)| format!("{metric} {month}")));
    }
    found
}

async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    answer(engine, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:#?}"))
}

/// Returns the published rows of a metric without the run that wrote them, in order.
async fn published(engine: &Engine, metric: &str) -> Vec<String> {
    sorted(engine, "published", metric).await
}

/// Returns the rows of a metric as it is now, of months that have ended, in order.
async fn live(engine: &Engine, metric: &str) -> Vec<String> {
    sorted(engine, "metrics", metric).await
}

async fn sorted(engine: &Engine, schema: &str, metric: &str) -> Vec<String> {
    let id = topline::catalog::TableId { schema: "metrics".to_owned(), name: metric.to_owned() };
    let model = engine.models().get(&id).expect("a metric");
    let columns: Vec<String> = engine
        .table(&id)
        .await
        .expect("a metric")
        .schema
        .fields()
        .iter()
        .map(|field| format!("\"{}\"", field.name()))
        .collect();
    let is_divided = model.sidecar.period.is_some() && columns.iter().any(|column| column == "\"is_complete\"");
    let filter = if is_divided { " where is_complete" } else { "" };
    let mut found = rows(engine, &format!("select {} from {schema}.\"{metric}\"{filter}", columns.join(", "))).await;
    found.sort();
    found
}
