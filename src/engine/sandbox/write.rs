//! Carrying out a write: rows into files, then one commit at the free place behind the newest version.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::order::{Exists, SANDBOX};
use super::views::View;
use super::{DROPPED, Entry, Sandbox, VIEW, VIEW_SCHEMA};
use crate::domain::names::nearest;
use crate::engine::TableKind;
use crate::engine::state::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Change, Columns, Commit, NewFile, Removal, Table, TableVersion, WriteId, check_room, converted};

/// The longest that a write may take: files that are older and belong to no version were left behind by one that died.
pub(super) const WRITE_SECONDS_MAX: u64 = 3600;

/// Commits of others that a write gives way to before it gives up: more than the writers of one table ever are.
const CONFLICTS_MAX: u32 = 100;

/// The longest wait after a conflict, in milliseconds: a commit takes a few, on object stores some dozens.
const WAIT_MILLIS_MAX: u64 = 100;

/// The most commits that are searched for a ticket's write: one that is older than so many is no retry.
const COMMITS_SEARCHED_MAX: u64 = 10_000;

/// What happens where there is no table of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Fails,
    /// It is made.
    IsMade,
}

/// What makes a write happen once: its number, and how far the log of its name was when it was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteTicket {
    /// The number, which no other write has.
    pub number: u64,
    /// The version; `None` where there was none.
    pub since: Option<u64>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wrote {
    pub(super) rows: u64,
    /// Bytes of the files; `None` where none were written: of views, and where the write was done before.
    pub(super) bytes: Option<u64>,
}

/// Rows to write, and into what.
pub(super) struct Written {
    /// The columns of a new table.
    pub columns: SchemaRef,
    pub missing: Missing,
    pub exists: Exists,
}

/// What is to be done, now that it is known what there is.
enum Step {
    Nothing,
    Make,
    Extend,
}

/// A write under way.
pub(super) struct Writing {
    shared: Arc<Shared>,
    name: String,
    operation: &'static str,
    id: WriteId,
    /// How far the log was when the write was first asked for; commits behind it may be this write's.
    since: Option<Option<u64>>,
}

impl Writing {
    pub(super) fn new(shared: &Arc<Shared>, name: String, operation: &'static str, id: WriteId) -> Self {
        Self { shared: Arc::clone(shared), name, operation, id, since: None }
    }

    pub(super) fn since(mut self, since: Option<u64>) -> Self {
        self.since = Some(since);
        self
    }

    fn sandbox(&self) -> &Sandbox {
        &self.shared.sandbox
    }

    fn label(&self) -> String {
        format!("{SANDBOX}.{}", self.name)
    }

    /// Writes rows.
    pub(super) async fn rows(
        mut self,
        written: Written,
        rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<Wrote> {
        let shared = Arc::clone(&self.shared);
        let work = async move {
            let _turn = shared.sandbox.turns.acquire().await;
            self.sandbox().prepare(&self.shared).await?;
            let latest = self.sandbox().latest(&self.name).await?;
            if let Some(rows) = self.done(latest.as_deref()).await? {
                return Ok(Wrote { rows, ..Wrote::default() });
            }
            let columns = match self.step(&written, latest.as_ref())? {
                Step::Nothing => return Ok(Wrote::default()),
                Step::Make => Arc::clone(&written.columns),
                Step::Extend => {
                    latest.as_ref().map_or_else(|| Arc::clone(&written.columns), |version| Arc::clone(&version.schema))
                }
            };
            let table = self.sandbox().table(&self.name)?;
            let (files, count) = self.write_files(&table, &written, &columns, rows).await?;
            let committed = self.commit_rows(&table, &written, &columns, latest, &files, count).await;
            if !matches!(committed, Ok((_, Kept::Files))) {
                table.discard(&files).await;
            }
            let bytes = files.iter().map(NewFile::bytes).sum();
            committed.map(|(rows, kept)| Wrote { rows, bytes: (kept == Kept::Files).then_some(bytes) })
        };
        tokio::time::timeout(Duration::from_secs(WRITE_SECONDS_MAX), work).await.map_err(|_| {
            Error::new(ErrorKind::Limit, format!("the write took more than {WRITE_SECONDS_MAX} seconds"))
                .with_hint("write fewer rows at once")
        })?
    }

    async fn write_files(
        &self,
        table: &Table,
        written: &Written,
        columns: &SchemaRef,
        mut rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<(Vec<NewFile>, u64)> {
        let mut writer = table.writer(columns, Vec::new());
        let schema = Arc::clone(writer.schema());
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            check_room(&batch, &schema)?;
            writer.write(&converted(&batch, &schema)?).await?;
            self.sandbox().require_room(&self.name, written.exists, writer.bytes())?;
        }
        let (files, count) = writer.finish().await?;
        let bytes = files.iter().map(NewFile::bytes).sum();
        if let Err(error) = self.sandbox().require_room(&self.name, written.exists, bytes) {
            table.discard(&files).await;
            return Err(error);
        }
        Ok((files, count))
    }

    async fn commit_rows(
        &mut self,
        table: &Table,
        written: &Written,
        columns: &SchemaRef,
        mut latest: Option<Arc<TableVersion>>,
        files: &[NewFile],
        count: u64,
    ) -> Result<(u64, Kept)> {
        for attempt in 0..CONFLICTS_MAX {
            let (new_columns, removal) = match self.step(written, latest.as_ref())? {
                Step::Nothing => return Ok((0, Kept::Nothing)),
                Step::Make => (Some(of_table(columns)), Removal::All),
                Step::Extend => {
                    if latest.as_ref().is_none_or(|version| !same_columns(&version.schema, columns)) {
                        return Err(Error::new(
                            ErrorKind::Query,
                            format!("table \"{}\" got other columns meanwhile", self.label()),
                        )
                        .with_hint("look at it, and write again"));
                    }
                    (None, Removal::Nothing)
                }
            };
            let change = self.change(new_columns, removal, files.to_vec(), count);
            match self.try_commit(table, &mut latest, &change, attempt).await? {
                Some(rows) => return Ok((rows, Kept::Files)),
                None => {
                    if let Some(rows) = self.done(latest.as_deref()).await? {
                        return Ok((rows, Kept::Nothing));
                    }
                }
            }
        }
        Err(self.too_many())
    }

    /// Stores a view.
    pub(super) async fn view(mut self, view: &View, columns: &SchemaRef, exists: Exists) -> Result<Wrote> {
        self.sandbox().prepare(&self.shared).await?;
        let table = self.sandbox().table(&self.name)?;
        let mut latest = self.sandbox().latest(&self.name).await?;
        for attempt in 0..CONFLICTS_MAX {
            if self.done(latest.as_deref()).await?.is_some() {
                return Ok(Wrote::default());
            }
            match latest.as_ref().and_then(Entry::of) {
                None => self.sandbox().require_name_free()?,
                Some(Entry::View(..)) if exists == Exists::IsReplaced => {}
                Some(_) if exists == Exists::IsKept => return Ok(Wrote::default()),
                Some(entry) => return Err(self.taken(&entry)),
            }
            let properties = [(VIEW, view.sql.clone()), (VIEW_SCHEMA, view.schema.clone())];
            let change = self.change(Some(with_properties(columns, properties)), Removal::All, Vec::new(), 0);
            if self.try_commit(&table, &mut latest, &change, attempt).await?.is_some() {
                return Ok(Wrote::default());
            }
        }
        Err(self.too_many())
    }

    /// Drops a table or view.
    pub(super) async fn drop_name(mut self, kind: TableKind, may_be_missing: bool) -> Result<Wrote> {
        self.sandbox().prepare(&self.shared).await?;
        let table = self.sandbox().table(&self.name)?;
        let mut latest = self.sandbox().latest(&self.name).await?;
        for attempt in 0..CONFLICTS_MAX {
            if self.done(latest.as_deref()).await?.is_some() {
                return Ok(Wrote::default());
            }
            let columns = match (latest.as_ref().and_then(Entry::of), latest.as_ref()) {
                (Some(entry), Some(version)) if entry.kind() == kind => Arc::clone(&version.schema),
                (Some(entry), _) => return Err(self.other_kind(&entry)),
                _ if may_be_missing => return Ok(Wrote::default()),
                _ => return Err(missing(&self.shared, &self.name)),
            };
            let columns = with_properties(&columns, [(DROPPED, "true".to_owned())]);
            let change = self.change(Some(columns), Removal::All, Vec::new(), 0);
            if self.try_commit(&table, &mut latest, &change, attempt).await?.is_some() {
                return Ok(Wrote::default());
            }
        }
        Err(self.too_many())
    }

    /// Commits behind `latest`; returns the rows, or `None` after a conflict, with the newest version in `latest`.
    async fn try_commit(
        &self,
        table: &Table,
        latest: &mut Option<Arc<TableVersion>>,
        change: &Change,
        attempt: u32,
    ) -> Result<Option<u64>> {
        let ended = table.commit(latest.as_deref(), change).await?;
        if ended == Commit::Conflict {
            let longest = WAIT_MILLIS_MAX.min(2 << attempt.min(10));
            // Each waits for another time, so that they do not meet again.
            let wait = 1 + RandomState::new().hash_one(attempt) % longest;
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        *latest = self.sandbox().latest(&self.name).await?;
        Ok(matches!(ended, Commit::Done(_)).then_some(change.rows))
    }

    /// Returns the rows that this write wrote, if one of the commits since it was first asked for is its.
    async fn done(&mut self, latest: Option<&TableVersion>) -> Result<Option<u64>> {
        let Some(until) = latest.map(|version| version.version) else { return Ok(None) };
        let Some(since) = self.since else {
            // Asked for once, and just now.
            self.since = Some(Some(until));
            return Ok(None);
        };
        if until.saturating_sub(since.unwrap_or(0)) > COMMITS_SEARCHED_MAX {
            return Err(Error::new(
                ErrorKind::Argument,
                format!("the ticket is older than {COMMITS_SEARCHED_MAX} writes to \"{}\"", self.label()),
            )
            .with_hint("ask for a new one with GetFlightInfo"));
        }
        let found = self.sandbox().table(&self.name)?.find(&self.id, since, until).await?;
        self.since = Some(Some(until));
        Ok(found)
    }

    fn step(&self, written: &Written, latest: Option<&Arc<TableVersion>>) -> Result<Step> {
        let Some(entry) = latest.and_then(Entry::of) else {
            return match written.missing {
                Missing::Fails => Err(missing(&self.shared, &self.name)),
                Missing::IsMade => self.sandbox().require_name_free().map(|()| Step::Make),
            };
        };
        match (&entry, written.exists) {
            (_, Exists::IsKept) => Ok(Step::Nothing),
            (Entry::Table(_), Exists::IsReplaced) => Ok(Step::Make),
            (Entry::Table(_), Exists::IsExtended) => Ok(Step::Extend),
            _ => Err(self.taken(&entry)),
        }
    }

    fn change(&self, columns: Option<Columns>, removal: Removal, added: Vec<NewFile>, rows: u64) -> Change {
        Change {
            write: self.id.clone(),
            operation: self.operation,
            at_micros: self.shared.clock.now_micros(),
            rows,
            columns,
            removal,
            added,
            information: Default::default(),
        }
    }

    fn taken(&self, entry: &Entry) -> Error {
        let (kind, hint) = match entry.kind() {
            TableKind::Base => ("table", "create or replace table, append to it, or drop it first"),
            TableKind::View => ("view", "create or replace view, or drop it first"),
        };
        Error::new(ErrorKind::Query, format!("{kind} \"{}\" exists already", self.label())).with_hint(hint)
    }

    fn other_kind(&self, entry: &Entry) -> Error {
        let kind = if entry.kind() == TableKind::View { "view" } else { "table" };
        Error::new(ErrorKind::Query, format!("\"{}\" is a {kind}", self.label()))
            .with_hint(format!("write drop {kind} {}", self.label()))
    }

    fn too_many(&self) -> Error {
        Error::new(ErrorKind::Limit, format!("too many write to \"{}\" at the same time", self.label()))
            .with_hint("write again; nothing was written")
    }
}

/// Whether a commit has the files that were written for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Files,
    Nothing,
}

fn of_table(columns: &SchemaRef) -> Columns {
    with_properties(columns, [])
}

fn with_properties<const N: usize>(columns: &SchemaRef, properties: [(&str, String); N]) -> Columns {
    // The log is what says that a ticket's write is done; it goes when the folder goes.
    let kept = ("delta.enableExpiredLogCleanup", "false".to_owned());
    let properties = properties.into_iter().chain([kept]);
    Columns {
        schema: Arc::clone(columns),
        partitioned_by: Vec::new(),
        properties: properties.map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

fn same_columns(one: &SchemaRef, other: &SchemaRef) -> bool {
    one.fields().len() == other.fields().len() && one.fields().iter().zip(other.fields()).all(|(a, b)| a == b)
}

/// Returns the error of a name that stands for nothing.
pub(super) fn missing(shared: &Shared, name: &str) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("table \"{SANDBOX}.{name}\" does not exist"));
    let names = shared.sandbox.names();
    match nearest(name, names.keys().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean \"{SANDBOX}.{near}\"?")),
        None => error.with_hint(format!("create table {SANDBOX}.{name} makes it")),
    }
}
