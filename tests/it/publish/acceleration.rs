//! Metrics answered from what is published, where that is what computing gives.

use datafusion::physical_plan::displayable;
use topline::engine::{Engine, Statement};

use super::reach::{Company, rounded};
use super::{publish, rows};

/// Returns the plan of a query in words.
async fn plan(engine: &Engine, sql: &str) -> String {
    let statement = engine.session().prepare(sql).await.expect("a query");
    in_words(statement).await
}

async fn in_words(statement: Statement) -> String {
    let plan = statement.physical_plan(None).await.expect("a plan");
    displayable(plan.as_ref()).indent(true).to_string()
}

/// Returns how often a plan reads published rows, in files or in memory, where also little of `meta` is.
fn reads_of_published(plan: &str) -> usize {
    plan.matches("published/").count() + plan.matches("partition_sizes=").count()
}

/// Returns how often a plan reads files of sources.
fn reads_of_sources(plan: &str) -> usize {
    plan.lines().filter(|line| line.contains("file_groups=") && !line.contains("published/")).count()
}

/// Returns whether a query reads published rows where it computes them otherwise: beside sources, or in their place.
async fn reads_published((fast, live): (&Engine, &Engine), sql: &str) -> bool {
    let (fast, live) = (plan(fast, sql).await, plan(live, sql).await);
    reads_of_published(&fast) > reads_of_published(&live) || reads_of_sources(&fast) < reads_of_sources(&live)
}

const AS_OF: &str = "2026-09-10T00:00:00Z";

async fn accelerated(company: &Company, as_of: &str) -> Engine {
    let variables = [("TOPLINE_REPORTING_AS_OF", as_of), ("TOPLINE_WAREHOUSE_ACCELERATE", "true")];
    let config = company.project.config(&variables).expect("a right configuration");
    Engine::open(config).await.expect("the company opens")
}

/// The views that put all metrics together: each takes as long as all others.
const SCORECARD: &str = "scorecard";

/// Holds every metric against what computing it gives; returns those that are read in published files.
async fn assert_equal(company: &Company, as_of: &str) -> Vec<String> {
    assert_equal_of(company, as_of, |_| true).await
}

async fn assert_equal_of(company: &Company, as_of: &str, is_asked_for: impl Fn(&str) -> bool) -> Vec<String> {
    let (live, fast) = (company.open(as_of).await, accelerated(company, as_of).await);
    let metrics = live.models().iter().filter(|model| model.id.schema == "metrics");
    let mut read = Vec::new();
    for metric in metrics.map(|model| model.id.name.as_str()).filter(|metric| is_asked_for(metric)) {
        assert_eq!(
            rounded(&fast, "metrics", metric, "").await,
            rounded(&live, "metrics", metric, "").await,
            "{metric}"
        );
        if reads_published((&fast, &live), &format!("select * from {metric}")).await {
            read.push(metric.to_owned());
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_equal_to_what_computing_it_gives_whatever_changed() {
    let company = Company::new(5);
    let engine = company.open(AS_OF).await;
    let is_single = |metric: &str| !metric.contains(SCORECARD);
    let nrr = "select * from nrr";
    assert!(!reads_published((&accelerated(&company, AS_OF).await, &engine), nrr).await, "nothing is published");
    publish(&engine, &[]).await;
    let read = assert_equal(&company, AS_OF).await;
    // The one that looks at as_of itself is as it was published, at this very instant.
    assert!(read.len() > 30, "{read:?}");
    // Later, and after a late invoice: what these touch is computed.
    let later = "2026-09-21T00:00:00Z";
    assert!(assert_equal_of(&company, later, is_single).await.len() > 8, "time alone touches little");
    std::fs::remove_file(company.project.path("billing/invoices/2026-06.parquet")).expect("it is there");
    let read = assert_equal_of(&company, AS_OF, is_single).await;
    assert!(read.contains(&"nrr".to_owned()) && read.contains(&"revenue".to_owned()), "{read:?}");
    let fast = accelerated(&company, AS_OF).await;
    let june = "select * from revenue where month = '2026-06-01'";
    let may = "select * from revenue where month = '2026-05-01'";
    assert_eq!(rows(&fast, june).await, rows(&company.open(AS_OF).await, june).await);
    assert_eq!(rows(&fast, may).await, rows(&company.open(AS_OF).await, may).await);
    // A row of accounts may touch any month.
    std::fs::remove_file(company.project.path("crm/accounts/2026-06.parquet")).expect("it is there");
    let read = assert_equal_of(&company, AS_OF, is_single).await;
    assert!(!read.contains(&"mrr".to_owned()) && !read.contains(&"forecast_accuracy".to_owned()), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_other_settings_everything_is_computed() {
    let company = Company::new(4);
    publish(&company.open(AS_OF).await, &["attribution_by_campaign", "monthly_scorecard", "nrr"]).await;
    let (fast, live) = (accelerated(&company, AS_OF).await, company.open(AS_OF).await);
    let sql = "select month, model, revenue from attribution_by_campaign where month < '2026-09-01' order by 1, 2, 3";
    assert!(reads_published((&fast, &live), sql).await);
    assert!(!reads_published((&fast, &live), "select * from core.revenue_facts").await);
    let mut session = fast.session();
    session.set("attribution.lookback_days", "3").expect("a right value");
    let computed = in_words(session.prepare(sql).await.expect("a query")).await;
    assert_eq!(reads_of_published(&computed), reads_of_published(&plan(&live, sql).await));
    // Months that have ended are read alone where no other is asked for, by whatever name the metric has for them.
    let ended = "select month, nrr from nrr where month < '2026-09-01'";
    let months = plan(&fast, ended).await;
    assert!(reads_of_published(&months) == 1 && reads_of_sources(&months) == 0, "{months}");
    assert_eq!(rows(&fast, ended).await.len(), rows(&live, ended).await.len());
    let ended = "select period, metric, value from monthly_scorecard where period < '2026-09-01'";
    let periods = plan(&fast, ended).await;
    assert!(reads_of_published(&periods) == 1 && reads_of_sources(&periods) == 0, "{periods}");
    assert_eq!(rows(&fast, ended).await.len(), rows(&live, ended).await.len());
}
