//! Roles: what is kept from a user is kept whatever way is tried.

mod commands;
mod configuration;
mod hidden;
mod leaks;
mod published;
mod same;
mod serving;

use topline::auth::Caller;
use topline::engine::Engine;

use crate::company;
use crate::project::{Project, integers, texts};
use crate::support;

/// A small company with secrets in one account, and roles.
struct Firm {
    project: Project,
    engine: Engine,
}

/// The account that is kept from some: its name, its domain and its employees are nobody else's.
const SECRETS: [&str; 3] = ["xylophone", "xylo.example", "987654"];

impl Firm {
    /// Returns a firm with these roles in its configuration.
    async fn with(roles: &str) -> Self {
        Self::with_metrics(roles, &[]).await
    }

    /// Returns a firm with metrics of its own too: their names, SQL, and what tells rows of a month apart.
    async fn with_metrics(roles: &str, metrics: &[(&str, &str, &str)]) -> Self {
        let project = Project::new();
        for (name, sql, key) in metrics {
            project.text(&format!("models/metrics/{name}.sql"), sql);
            let sidecar = format!("description = \"x\"\nkey = [\"month\", \"{key}\"]\nperiod = \"month\"\n");
            project.text(&format!("models/metrics/{name}.toml"), &sidecar);
        }
        let models = if metrics.is_empty() { "" } else { "[models]\nlocation = \"models\"\n" };
        let roles = format!("{models}{roles}");
        company::lay_out(&project);
        let accounts = company::accounts()
            .with("name", texts(["Acme", "Xylophone", "Cog"]))
            .with("domain", texts(["acme.example", "xylo.example", "cog.example"]))
            .with("employee_count", integers([12, 987_654, 7]));
        project.parquet("crm/accounts.parquet", &accounts);
        project.text("topline.toml", &configuration(&roles));
        let engine = project.open().await.expect("the project opens");
        Self { project, engine }
    }

    /// Returns the engine as a user of a role sees it.
    async fn seen_by(&self, role: &str) -> Engine {
        seen_with(&self.engine, role, &[]).await
    }
}

fn configuration(roles: &str) -> String {
    format!("{}\n[warehouse]\nlocation = \"warehouse\"\n{roles}", company::CONFIGURATION)
}

async fn seen_with(engine: &Engine, role: &str, attributes: &[(&str, &str)]) -> Engine {
    engine.as_user(&caller(role, attributes)).await.expect("the role is configured")
}

fn caller(role: &str, attributes: &[(&str, &str)]) -> Caller {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Caller::granted("ann", Some(role), attributes)
}

/// Returns all that a user is told by a query: names of columns and rows, or the error with its hint.
async fn heard(engine: &Engine, sql: &str) -> String {
    let told = async {
        let rows = engine.session().query(sql).await?;
        let columns: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        let lines = rows.collect().await?.iter().flat_map(support::texts).map(|row| row.join(" | ")).collect();
        Ok::<_, topline::Error>([vec![columns.join(" | ")], lines].concat().join("\n"))
    };
    told.await.unwrap_or_else(|error| format!("error: {error}\nhint: {}", error.hint().unwrap_or_default()))
}

/// Returns the rows of a query that goes well.
async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    support::rows(&engine.session(), sql).await.into_iter().map(|row| row.join(" | ")).collect()
}
