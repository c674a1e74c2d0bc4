//! From a statement that writes to what will be done: names looked up, rows planned, types settled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::sql::parser::Statement as Sql;
use datafusion::sql::sqlparser::ast::{self, Query};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::noted::Noted;
use super::order::{Deed, Exists, NewColumn, Order, SANDBOX, outside, parameters_in_values, row_of_parameters};
use super::views::View;
use super::write::{Missing, WriteTicket, Writing, Written, Wrote};
use super::{Entry, require_name};
use crate::engine::gate::{self, Allowed};
use crate::engine::result::Extent;
use crate::engine::runs::Run;
use crate::engine::stop::Stop;
use crate::engine::wire_types::{WireTypes, wire_schema};
use crate::engine::{Session, Statement, TableKind, parameters};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{WriteId, storable};

/// A write that is planned.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Write {
    name: String,
    words: &'static str,
    /// The version of the name's log when it was planned; `None` where there was none.
    since: Option<u64>,
    what: What,
    /// The types of parameters by their names, where a column decides them.
    pub parameters: BTreeMap<String, DataType>,
}

#[derive(Debug, Clone)]
enum What {
    /// Rows of a query.
    Rows {
        query: Box<Statement>,
        names: Vec<String>,
        columns: SchemaRef,
        missing: Missing,
        exists: Exists,
        direct: Option<Vec<usize>>,
    },
    /// A table without rows.
    Empty {
        columns: SchemaRef,
        exists: Exists,
    },
    View {
        view: View,
        columns: SchemaRef,
        exists: Exists,
    },
    Drop {
        kind: TableKind,
        may_be_missing: bool,
    },
}

/// Rows to load into a table of the sandbox, as a client uploads them.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// The schema that the client names; none is the sandbox.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// What happens where there is no such table.
    pub missing: Missing,
    /// What happens where there is one.
    pub exists: Exists,
}

/// Returns the columns of the answer to a statement that writes: how many rows it wrote.
pub(in crate::engine) fn answer_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::Int64, COUNT_IS_NULL)]))
}

/// Every write counts its rows.
const COUNT_IS_NULL: bool = false;

impl Write {
    /// Returns the words of the statement.
    pub(super) fn words(&self) -> &'static str {
        self.words
    }

    /// Returns the name of what is written.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the write with the query that it writes the rows of as part of a run.
    pub(in crate::engine) fn going_with(&self, run: &Arc<Run>) -> Self {
        let mut write = self.clone();
        if let What::Rows { query, .. } = &mut write.what {
            query.goes_with(run);
        }
        write
    }
}

impl Session {
    /// Returns whether this session may write to the sandbox, as an error where it may not.
    ///
    /// # Errors
    /// `Refused` with the reason.
    fn may_write(&self) -> Result<()> {
        if !self.shared.may_write_sandbox() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("schema \"{SANDBOX}\" may not be written by this user"),
            )
            .with_hint("a role with sandbox = \"write\" may; ask whoever runs the server"));
        }
        if self.shared.config.sandbox.is_writable {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Refused, format!("schema \"{SANDBOX}\" is read-only on this server"))
            .with_hint("[sandbox] writable = true lets users write there"))
    }

    pub(in crate::engine) async fn plan_write(&self, order: Order) -> Result<Statement> {
        let name = order.name(&self.schema)?;
        self.may_write()?;
        let latest = self.shared.sandbox.latest(&name).await?;
        let since = latest.as_ref().map(|version| version.version);
        let words = order.words();
        let mut types = BTreeMap::new();
        let what = match order.deed {
            Deed::TableOf { query, exists } => {
                require_name(&name)?;
                let query = Box::new(self.plan_query(*query).await?);
                let columns = storable(&query.schema())?;
                let names = columns.fields().iter().map(|field| field.name().clone()).collect();
                What::Rows { query, names, columns, missing: Missing::IsMade, exists, direct: None }
            }
            Deed::Table { columns, exists } => {
                require_name(&name)?;
                What::Empty { columns: self.declared(columns).await?, exists }
            }
            Deed::View { query, exists } => {
                require_name(&name)?;
                let view = View { sql: query.to_string(), schema: self.schema.clone() };
                let plan = view.plan(&self.shared, &name).await?;
                What::View { view, columns: listed(&wire_schema(plan.schema().as_arrow())), exists }
            }
            Deed::Insert { columns: names, query } => {
                let columns = self.table_columns(&name, latest.as_ref().and_then(Entry::of))?;
                let names = chosen(names, &columns, &name)?;
                let direct = row_of_parameters(&query);
                for (number, place) in parameters_in_values(&query) {
                    if let Some(field) = names.get(place).and_then(|name| columns.field_with_name(name).ok()) {
                        types.insert(format!("${}", number + 1), field.data_type().clone());
                    }
                }
                let query = Box::new(self.plan_query(*query).await?);
                let found = query.schema().fields().len();
                if found != names.len() {
                    let problem = format!("the query has {found} columns, but {} are inserted into", names.len());
                    return Err(
                        Error::new(ErrorKind::Query, problem).with_hint(format!("they are {}", names.join(", ")))
                    );
                }
                What::Rows { query, names, columns, missing: Missing::Fails, exists: Exists::IsExtended, direct }
            }
            Deed::Drop { kind, may_be_missing } => What::Drop { kind, may_be_missing },
        };
        let (plan, reads) = match &what {
            What::Rows { query, .. } => (query.plan.clone(), query.reads.clone()),
            _ => (nothing(), Vec::new()),
        };
        let state = self.state();
        let write = Some(Arc::new(Write { name, words, since, what, parameters: types }));
        Ok(Statement {
            shared: Arc::clone(&self.shared),
            state,
            plan,
            schema: answer_schema(),
            reads,
            write,
            stop: Stop::default(),
            scanned: self.scanned.clone(),
            planned: Duration::ZERO,
            run: None,
        })
    }

    async fn plan_query(&self, query: Query) -> Result<Statement> {
        let sql = Sql::Statement(Box::new(ast::Statement::Query(Box::new(query))));
        // What is kept has its own types, whatever the client reads.
        let mut keeping = self.clone();
        keeping.use_wire_types(WireTypes::default());
        keeping.plan(Allowed::Query(Box::new(sql))).await
    }

    fn table_columns(&self, name: &str, entry: Option<Entry>) -> Result<SchemaRef> {
        match entry {
            Some(Entry::Table(version)) => Ok(Arc::clone(&version.schema)),
            Some(Entry::View(..)) => {
                Err(Error::new(ErrorKind::Query, format!("\"{SANDBOX}.{name}\" is a view, and holds no rows"))
                    .with_hint("insert into the table that it reads"))
            }
            None => Err(super::write::missing(&self.shared, name)),
        }
    }

    /// Returns the columns that are written out as names and types.
    async fn declared(&self, columns: Vec<NewColumn>) -> Result<SchemaRef> {
        let casts: Vec<String> = columns
            .iter()
            .map(|column| format!("cast(null as {}) as \"{}\"", column.data_type, column.name.replace('"', "\"\"")))
            .collect();
        let sql = gate::parse_one(&format!("select {}", casts.join(", ")))?;
        let types = self.plan(Allowed::Query(Box::new(sql))).await?.schema();
        let stored = storable(&types)?;
        let fields = stored
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| Field::new(field.name(), field.data_type().clone(), column.is_nullable));
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// Loads rows into a table of the sandbox: all of them in one commit, or none.
    ///
    /// Columns go by their names; a column of the table that the rows do not have is NULL. Returns how many rows.
    ///
    /// # Errors
    /// `Refused` outside the sandbox, `Query` where the rows do not fit the table, `NotFound` where it does not exist,
    /// `Limit` where a quota is reached, `Storage` where they cannot be written, and those of the rows themselves.
    pub async fn ingest(
        &self,
        ingest: Ingest,
        columns: &Schema,
        rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<u64> {
        if let Some(schema) = ingest.schema.filter(|schema| schema != SANDBOX) {
            return Err(outside("ingest", &format!("{schema}.{}", ingest.table))
                .with_hint(format!("ingest into schema {SANDBOX}")));
        }
        self.may_write()?;
        require_name(&ingest.table)?;
        let columns = storable(columns)?;
        let noted = Noted::begin(&self.shared, &self.user().name, "ingest", &ingest.table)?;
        let writing = Writing::new(&self.shared, ingest.table, "INGEST", WriteId::random());
        let wrote = writing.rows(Written { columns, missing: ingest.missing, exists: ingest.exists }, rows).await;
        noted.end(&wrote)?;
        wrote.map(|wrote| wrote.rows)
    }
}

impl Statement {
    /// Returns whether the statement writes; it is then run with [`Statement::write`].
    pub fn is_write(&self) -> bool {
        self.write.is_some()
    }

    /// Returns what makes a write happen once, however often it is asked for with this number.
    pub fn ticket(&self, number: u64) -> WriteTicket {
        WriteTicket { number, since: self.write.as_ref().and_then(|write| write.since) }
    }

    /// Carries out the write; [`Statement::write`] says what of it is noted.
    pub(super) async fn written(self, ticket: Option<WriteTicket>, parameters: Option<RecordBatch>) -> Result<Wrote> {
        let Some(write) = self.write.clone() else {
            return Err(Error::new(ErrorKind::Refused, "a query is not allowed as an update: it writes nothing")
                .with_hint("run it as a query, which returns its rows"));
        };
        let writing = match ticket {
            Some(ticket) => {
                Writing::new(&self.shared, write.name.clone(), write.words, WriteId::of_ticket(ticket.number))
                    .since(ticket.since)
            }
            None => Writing::new(&self.shared, write.name.clone(), write.words, WriteId::random()),
        };
        match &write.what {
            What::Rows { query, names, columns, missing, exists, direct } => {
                let rows = rows(query, names, direct.as_ref(), parameters)?;
                let written = Written { columns: Arc::clone(columns), missing: *missing, exists: *exists };
                writing.rows(written, rows).await
            }
            What::Empty { columns, exists } => {
                let written = Written { columns: Arc::clone(columns), missing: Missing::IsMade, exists: *exists };
                writing.rows(written, stream::empty().boxed()).await
            }
            What::View { view, columns, exists } => writing.view(view, columns, *exists).await,
            What::Drop { kind, may_be_missing } => writing.drop_name(*kind, *may_be_missing).await,
        }
    }
}

/// Returns the rows of a query under the names of the columns that they go to.
fn rows(
    query: &Statement,
    names: &[String],
    direct: Option<&Vec<usize>>,
    parameters: Option<RecordBatch>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let names: Vec<String> = names.to_vec();
    let named = move |rows: RecordBatch| {
        let columns = names.iter().zip(rows.columns()).map(|(name, column)| (name.as_str(), Arc::clone(column), true));
        RecordBatch::try_from_iter_with_nullable(columns)
            .map_err(|cause| Error::new(ErrorKind::Internal, "the rows of a write have no columns").with_source(cause))
    };
    let query = query.clone();
    Ok(match (direct, parameters) {
        // Nothing is planned for rows that come as they are to be stored.
        (Some(places), Some(rows)) => {
            let rows = rows.project(places).map_err(|cause| {
                Error::new(ErrorKind::Argument, "the parameters are fewer than the statement has").with_source(cause)
            })?;
            stream::iter([named(rows)]).boxed()
        }
        (_, Some(rows)) => stream::iter(0..rows.num_rows())
            .then(move |row| {
                let (query, rows) = (query.clone(), rows.clone());
                async move { query.execute_up_to(NO_END, Some(parameters::values(&rows, row)?)).await }
            })
            .try_flatten()
            .and_then(move |rows| std::future::ready(named(rows)))
            .boxed(),
        (_, None) => stream::once(query.execute_up_to(NO_END, NO_PARAMETERS))
            .try_flatten()
            .and_then(move |rows| std::future::ready(named(rows)))
            .boxed(),
    })
}

/// What goes into a table is limited by the sandbox's quotas, not by the rows that a client may fetch.
const NO_END: Extent = Extent { rows_max: None, bytes_max: None };

/// The query has none.
const NO_PARAMETERS: Option<datafusion::common::ParamValues> = None;

fn nothing() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(DFSchema::empty()) })
}

/// Returns the columns that an insert names, all of them where it names none.
fn chosen(names: Vec<String>, columns: &SchemaRef, table: &str) -> Result<Vec<String>> {
    if names.is_empty() {
        return Ok(columns.fields().iter().map(|field| field.name().clone()).collect());
    }
    for (place, name) in names.iter().enumerate() {
        if columns.field_with_name(name).is_err() {
            let known: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("table \"{SANDBOX}.{table}\" has no column \"{name}\""),
            )
            .with_hint(format!("it has {}", known.join(", "))));
        }
        if names[..place].contains(name) {
            return Err(Error::new(ErrorKind::Query, format!("column \"{name}\" is there twice")));
        }
    }
    Ok(names)
}

/// Returns the columns of a view as they are kept for listing it; what no table could hold is listed as text.
fn listed(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match storable(&Schema::new(vec![Arc::clone(field)])) {
        Ok(stored) => stored.field(0).clone(),
        Err(_) => Field::new(field.name(), DataType::Utf8, true),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
