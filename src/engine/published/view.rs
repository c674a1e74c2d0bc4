//! A metric as it is published: its columns, its key, and by what its rows belong to a month.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::entry::WHOLE;
use super::scope::Scope;
use super::{MONTH, RUN_ID, Rest};
use crate::catalog::TableId;
use crate::domain::month::Month;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Columns, Part, storable};
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
    /// The month in which the day of a column lies.
    Period(String),
    /// SQL for the month, which has no column of its own.
    Derived(String),
}

/// A view of schema `metrics` that is published.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub metric: String,
    /// The columns of the metric as a table holds them.
    pub schema: SchemaRef,
    /// The columns that tell rows apart; all of them where none are named.
    pub key: Vec<String>,
    division: Division,
    /// Whether the user's folder has SQL of it, or of what it reads.
    is_custom: bool,
}

impl View {
    /// Returns a view by its name.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Model` where it cannot be planned or its columns are none of a published metric,
    /// `Query` where they cannot be stored.
    pub async fn of(engine: &Engine, metric: &str) -> Result<Self> {
        let id = TableId { schema: SCHEMA.to_owned(), name: metric.to_owned() };
        let listing = engine.table(&id).await?;
        let sidecar = engine.models().get(&id).map(|model| &model.sidecar);
        let division = match sidecar.map(|sidecar| (&sidecar.publish, sidecar.period.as_deref())) {
            Some((Some(publish), _)) => Division::Derived(publish.month.clone()),
            Some((None, Some(OWN_MONTH))) => Division::OwnMonth,
            Some((None, Some(period))) => Division::Period(period.to_owned()),
            _ => Division::Whole,
        };
        let schema = storable(&listing.schema).map_err(|error| error.about(&format!("view \"{id}\"")))?;
        require_columns(&id, &schema, &division)?;
        let all = || schema.fields().iter().map(|field| field.name().clone()).collect();
        let key = if listing.key.is_empty() { all() } else { listing.key };
        let behind = engine.models().closure([id]);
        let is_custom = behind.iter().filter_map(|id| engine.models().get(id)).any(|model| model.is_custom);
        Ok(Self { metric: metric.to_owned(), schema, key, division, is_custom })
    }

    /// Returns whether it has months.
    pub fn has_months(&self) -> bool {
        self.division != Division::Whole
    }

    /// Returns the name of the column with the month of a row; `None` where it has none.
    pub fn month_column(&self) -> Option<&'static str> {
        match self.division {
            Division::Whole => None,
            Division::OwnMonth => Some(OWN_MONTH),
            Division::Period(_) | Division::Derived(_) => Some(MONTH),
        }
    }

    /// Returns the name of the column that says whether a row's period has ended; `None` where rows have no period.
    pub fn complete_column(&self) -> Option<&'static str> {
        (self.has_months() && self.schema.field_with_name(IS_COMPLETE).is_ok()).then_some(IS_COMPLETE)
    }

    /// Returns the columns of the metric, the key first.
    pub fn columns(&self) -> Vec<String> {
        let names = self.schema.fields().iter().map(|field| field.name());
        let values = names.filter(|name| !self.key.contains(name));
        self.key.iter().chain(values).cloned().collect()
    }

    /// Returns the columns of the Delta table, and how its files are divided.
    pub fn table_columns(&self) -> Columns {
        let derived = self.has_derived_month().then(|| Field::new(MONTH, DataType::Date32, true));
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
    pub fn sql(&self, months: &Scope, current: Month) -> String {
        let names: Vec<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        self.sql_of(&names, months, current)
    }

    /// Returns the rows of months that have not ended, and of others that are asked for; `None` where there are no months.
    pub fn rest(&self, current: Month, others: &[(Month, Month)]) -> Option<Rest> {
        let names: Vec<String> = self.schema.fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
        let (columns, month) = (names.join(", "), self.month_sql()?);
        let table = format!("{SCHEMA}.\"{}\"", self.metric);
        let mut range = format!("{month} >= {}", current.sql());
        if !others.is_empty() {
            range = format!("{range} or {}", within(&month, others));
        }
        let first = others.first().map_or(current, |(first, _)| *first);
        let days = self.day_column().map(|column| (column.to_owned(), first.first_day()));
        Some(Rest { sql: format!("select {columns} from {table} where {range}"), days })
    }

    /// Returns the column with a day in the month of a row; `None` where no column tells it alone.
    fn day_column(&self) -> Option<&str> {
        match &self.division {
            Division::Whole | Division::Derived(_) => None,
            Division::OwnMonth => Some(OWN_MONTH),
            Division::Period(column) => Some(column),
        }
    }

    /// Returns whether the month is no column of the metric's own.
    fn has_derived_month(&self) -> bool {
        matches!(self.division, Division::Period(_) | Division::Derived(_))
    }

    /// Returns the query for a row without a month; `None` where there is none: it has no months, or all that it reads is
    /// built in, where each row has one.
    pub fn sql_without_month(&self) -> Option<String> {
        let month = self.month_sql().filter(|_| self.is_custom)?;
        Some(format!("select 1 as row from {SCHEMA}.\"{}\" where {month} is null limit 1", self.metric))
    }

    /// Returns SQL for the month of a row; `None` where there are no months.
    fn month_sql(&self) -> Option<String> {
        match &self.division {
            Division::Whole => None,
            Division::OwnMonth => Some(format!("\"{OWN_MONTH}\"")),
            Division::Period(column) => Some(format!("month_of(\"{column}\")")),
            Division::Derived(sql) => Some(sql.clone()),
        }
    }

    /// Returns the query for the rows of months that have ended, month by month in the order of the key.
    ///
    /// Where all months are asked for, a row without a month comes first.
    pub fn sql_of(&self, columns: &[String], months: &Scope, current: Month) -> String {
        let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
        let order: Vec<String> = self.key.iter().map(|name| format!("\"{name}\" nulls first")).collect();
        let (columns, order, table) = (names.join(", "), order.join(", "), format!("{SCHEMA}.\"{}\"", self.metric));
        let Some(month) = self.month_sql() else { return format!("select {columns} from {table} order by {order}") };
        let range = match months {
            Scope::All(_) => format!("{month} < {} or {month} is null", current.sql()),
            Scope::Ranges(ranges) => within(&month, ranges),
        };
        let derived = if self.has_derived_month() { format!(", {month} as \"{MONTH}\"") } else { String::new() };
        format!(
            "select {columns}{derived} from {table} where {range} \
             order by {month} nulls first, {order}"
        )
    }
}

/// Refuses columns that a published table has of its own, and those that say which rows are published when and are of
/// another type than that takes.
fn require_columns(id: &TableId, schema: &Schema, division: &Division) -> Result<()> {
    let mut problems = Vec::new();
    for name in [MONTH, RUN_ID].into_iter().filter(|name| schema.field_with_name(name).is_ok()) {
        problems.push(format!("view \"{id}\": a published table has a column \"{name}\" of its own; hint: rename it"));
    }
    let period = match division {
        Division::Whole | Division::Derived(_) => None,
        Division::OwnMonth => Some(OWN_MONTH),
        Division::Period(column) => Some(column.as_str()),
    };
    let has_months = *division != Division::Whole;
    let typed = [period.map(|name| (name, DataType::Date32)), has_months.then_some((IS_COMPLETE, DataType::Boolean))];
    for (name, kind) in typed.into_iter().flatten() {
        if let Ok(field) = schema.field_with_name(name)
            && field.data_type() != &kind
        {
            problems.push(format!("view \"{id}\": expected column \"{name}\" as {kind}, found {}", field.data_type()));
        }
    }
    Error::list(ErrorKind::Model, "a metric cannot be published", problems).map_or(Ok(()), Err)
}

/// Returns the month of a file: `2026-03`, or [`WHOLE`]. It is that by which the file was divided when it was written,
/// whatever the view is divided by now.
pub fn month_of(part: &Part) -> String {
    let value = [MONTH, OWN_MONTH].into_iter().find_map(|column| part.partition(column));
    value.map_or_else(|| WHOLE.to_owned(), |value| value.get(.."2026-03".len()).unwrap_or(value).to_owned())
}

/// Returns the condition that a month is in one of some ranges. It begins with the first and the last of all: that is what
/// scans can leave out files by. The day that a month has in a view need not be its first.
fn within(month: &str, ranges: &[(Month, Month)]) -> String {
    let range =
        |first: &Month, last: &Month| format!("{month} >= {} and {month} < {}", first.sql(), last.plus(1).sql());
    match ranges {
        [] => "false".to_owned(),
        [(first, last)] => range(first, last),
        [(first, _), .., (_, last)] => {
            let each: Vec<String> = ranges.iter().map(|(first, last)| format!("({})", range(first, last))).collect();
            format!("{} and ({})", range(first, last), each.join(" or "))
        }
    }
}
