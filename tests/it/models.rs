//! Every model plans to what its sidecar says.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use topline::engine::wire_schema;

use crate::support::{rows, sample};

#[tokio::test]
async fn every_model_has_the_columns_of_its_sidecar() {
    let engine = sample().await;
    let mut problems = Vec::new();
    for model in engine.models().iter() {
        let listing = engine.table(&model.id).await.unwrap_or_else(|error| panic!("{}: {error}", model.id));
        let columns = &model.sidecar.columns;
        let documented: Vec<_> =
            columns.iter().map(|column| Field::new(&column.0, column.1.data_type(), true)).collect();
        let documented = wire_schema(&Schema::new(documented));
        let shown = |schema: &Schema| -> Vec<String> {
            schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
        };
        if shown(&listing.schema) != shown(&documented) {
            problems.push(format!(
                "{}: the select has {:?}, the sidecar {:?}",
                model.id,
                shown(&listing.schema),
                shown(&documented)
            ));
        }
        for name in model.sidecar.key.iter().chain(&model.sidecar.period) {
            if !columns.iter().any(|column| column.0 == *name) {
                problems.push(format!("{}: key or period \"{name}\" is none of its columns", model.id));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn every_metric_says_what_it_is() {
    let engine = sample().await;
    let contract: Vec<String> = topline::catalog::contract::Contract::get()
        .tables()
        .map(|table| format!("{}.{}", table.schema, table.name))
        .collect();
    let (mut metrics, mut problems) = (0, Vec::new());
    for model in engine.models().iter() {
        let sidecar = &model.sidecar;
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{}: {what}", model.id));
            }
        };
        demand(!sidecar.description.is_empty(), "no description");
        demand(!sidecar.grain.is_empty(), "no grain");
        demand(!sidecar.columns.is_empty(), "no columns");
        demand(sidecar.columns.iter().all(|column| !column.2.is_empty()), "a column without a meaning");
        if model.id.schema != topline::metrics::SCHEMA {
            demand(sidecar.metric.is_none(), "a metric outside schema metrics");
            continue;
        }
        metrics += 1;
        demand(!sidecar.key.is_empty(), "no key");
        let shows_others = model.reads.iter().any(|read| read.schema == topline::metrics::SCHEMA);
        demand(shows_others || !sidecar.needs.is_empty(), "no needs");
        demand(sidecar.needs.iter().all(|need| contract.contains(need)), "needs a table that the contract lacks");
        let Some(entry) = &sidecar.metric else {
            demand(false, "no [metric]");
            continue;
        };
        demand(["weekly", "monthly", "quarterly"].contains(&entry.cadence.as_str()), "no such cadence");
        demand(["up", "down"].contains(&entry.direction.as_str()), "no such direction");
        demand(sidecar.columns.iter().any(|column| column.1.unit() == entry.unit), "a unit that no column has");
        demand(entry.target.is_some() == entry.threshold.is_some(), "a target without a threshold, or the reverse");
        demand(entry.owner.is_some() && entry.action_plan.is_some(), "no owner or no action plan");
    }
    assert!(metrics >= 12, "only {metrics} metrics");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn every_key_tells_rows_apart() {
    let engine = sample().await;
    let session = engine.session();
    for model in engine.models().iter().filter(|model| !model.sidecar.key.is_empty()) {
        let key = model.sidecar.key.join(", ");
        let counts = rows(
            &session,
            &format!(
                "select coalesce(sum(rows), 0) as rows, count(*) as keys \
                 from (select {key}, count(*) as rows from {} group by {key})",
                model.id
            ),
        )
        .await;
        assert_eq!(counts[0][0], counts[0][1], "{}: rows and keys of ({key})", model.id);
        assert_ne!(counts[0][0], "0", "{} has no rows on the sample", model.id);
    }
}

/// Returns the leaves of a plan: how many scan Parquet, how many are built in, and the names of all others.
fn leaves(plan: &Arc<dyn ExecutionPlan>) -> (usize, usize, Vec<String>) {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(leaves).fold((0, 0, Vec::new()), |mut sum, part| {
            sum.2.extend(part.2);
            (sum.0 + part.0, sum.1 + part.1, sum.2)
        });
    }
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        if scan.downcast_to_file_source::<ParquetSource>().is_some() {
            return (1, 0, Vec::new());
        }
        if scan.data_source().downcast_ref::<MemorySourceConfig>().is_some() {
            return (0, 1, Vec::new());
        }
    }
    match plan.name() {
        "EmptyExec" | "PlaceholderRowExec" => (0, 1, Vec::new()),
        other => (0, 0, vec![other.to_owned()]),
    }
}

#[tokio::test]
async fn every_model_reads_parquet_and_nothing_else() {
    let engine = sample().await;
    let session = engine.session();
    for model in engine.models().iter() {
        let statement = session.prepare(&format!("select * from {}", model.id)).await.expect("a model plans");
        let plan = statement.physical_plan(None).await.expect("a model plans");
        let (scans, built_in, others) = leaves(&plan);
        assert!(others.is_empty(), "{} reads {others:?}", model.id);
        if model.reads.is_empty() {
            assert_eq!(scans, 0, "{} reads nothing by its SQL", model.id);
            assert!(built_in > 0, "{} is built from nothing", model.id);
        } else {
            assert!(scans > 0, "{} reads no Parquet file", model.id);
        }
    }
}
