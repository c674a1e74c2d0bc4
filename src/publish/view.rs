//! A metric as it is published: its columns, its key, and by what its rows belong to a month.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Months;
use crate::catalog::TableId;
use crate::domain::month::Month;
use crate::engine::Engine;
use crate::engine::published::{MONTH, RUN_ID};
use crate::error::Result;
use crate::lake::{Columns, storable};
use crate::metrics::SCHEMA;

/// The period that is the month itself.
const OWN_MONTH: &str = "month";

/// The column that says whether a row's period has ended.
const IS_COMPLETE: &str = "is_complete";

/// How far back files are kept that are not in the table any more: longer than any auditor asks for.
const KEPT: &str = "interval 3650 days";

/// By what the rows of a view are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Division {
    /// It is published whole.
    Whole,
    /// The column `month`.
    OwnMonth,
    /// SQL for the month, which has no column of its own.
    Derived(String),
}

/// A view of schema `metrics` that is published.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Its name.
    pub metric: String,
    /// The columns of the metric as a table holds them.
    pub schema: SchemaRef,
    /// The columns that tell rows apart; all of them where none are named.
    pub key: Vec<String>,
    division: Division,
}

impl View {
    /// Returns a view by its name.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Model` where it cannot be planned, `Query` where its columns cannot be stored.
    pub(super) async fn of(engine: &Engine, metric: &str) -> Result<Self> {
        let id = TableId { schema: SCHEMA.to_owned(), name: metric.to_owned() };
        let listing = engine.table(&id).await?;
        let sidecar = engine.models().get(&id).map(|model| &model.sidecar);
        let division = match sidecar.map(|sidecar| (&sidecar.publish, sidecar.period.as_deref())) {
            Some((Some(publish), _)) => Division::Derived(publish.month.clone()),
            Some((None, Some(OWN_MONTH))) => Division::OwnMonth,
            Some((None, Some(period))) => Division::Derived(format!("month_of(\"{period}\")")),
            _ => Division::Whole,
        };
        let schema = storable(&listing.schema)?;
        let all = || schema.fields().iter().map(|field| field.name().clone()).collect();
        let key = if listing.key.is_empty() { all() } else { listing.key };
        Ok(Self { metric: metric.to_owned(), schema, key, division })
    }

    /// Returns whether it has months.
    pub(super) fn has_months(&self) -> bool {
        self.division != Division::Whole
    }

    /// Returns the name of the column with the month of a row; `None` where it has none.
    pub(super) fn month_column(&self) -> Option<&'static str> {
        match self.division {
            Division::Whole => None,
            Division::OwnMonth => Some(OWN_MONTH),
            Division::Derived(_) => Some(MONTH),
        }
    }

    /// Returns the name of the column that says whether a row's period has ended; `None` where rows have no period.
    pub(super) fn complete_column(&self) -> Option<&'static str> {
        (self.has_months() && self.schema.field_with_name(IS_COMPLETE).is_ok()).then_some(IS_COMPLETE)
    }

    /// Returns the columns of the metric, the key first.
    pub(super) fn columns(&self) -> Vec<String> {
        let names = self.schema.fields().iter().map(|field| field.name());
        let values = names.filter(|name| !self.key.contains(name));
        self.key.iter().chain(values).cloned().collect()
    }

    /// Returns the columns of the Delta table, and how its files are divided.
    pub(super) fn table_columns(&self) -> Columns {
        let derived = matches!(self.division, Division::Derived(_)).then(|| Field::new(MONTH, DataType::Date32, true));
        let run = Field::new(RUN_ID, DataType::Utf8, true);
        let own = self.schema.fields().iter().map(|field| field.as_ref().clone());
        let properties = [
            ("delta.enableExpiredLogCleanup", "false"),
            ("delta.logRetentionDuration", KEPT),
            ("delta.deletedFileRetentionDuration", KEPT),
        ];
        Columns {
            schema: Arc::new(Schema::new(own.chain(derived).chain([run]).collect::<Vec<_>>())),
            partitioned_by: self.month_column().into_iter().map(str::to_owned).collect(),
            properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    /// Returns the query for all columns of the rows of months that have ended; see [`View::sql_of`].
    pub(super) fn sql(&self, months: &Months, current: Month) -> String {
        let names: Vec<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        self.sql_of(&names, months, current)
    }

    /// Returns the query for the rows of months that have ended, month by month in the order of the key.
    ///
    /// A row without a month comes first.
    pub(super) fn sql_of(&self, columns: &[String], months: &Months, current: Month) -> String {
        let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
        let order: Vec<String> = self.key.iter().map(|name| format!("\"{name}\" nulls first")).collect();
        let (columns, order, table) = (names.join(", "), order.join(", "), format!("{SCHEMA}.\"{}\"", self.metric));
        let month = match &self.division {
            Division::Whole => return format!("select {columns} from {table} order by {order}"),
            Division::OwnMonth => format!("\"{OWN_MONTH}\""),
            Division::Derived(sql) => sql.clone(),
        };
        let range = match months {
            Months::Due => format!("{month} < {}", current.sql()),
            Months::Between(first, last) => format!("{month} >= {} and {month} <= {}", first.sql(), last.sql()),
        };
        let derived = if matches!(self.division, Division::Derived(_)) {
            format!(", {month} as \"{MONTH}\"")
        } else {
            String::new()
        };
        format!(
            "select {columns}{derived} from {table} where {range} or {month} is null \
             order by {month} nulls first, {order}"
        )
    }
}
