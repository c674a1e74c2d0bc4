//! The order of events of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entries::{add, is_again, newest_lasting};
use super::inputs::require_tables;
use super::outcome::{Found, Looked, Outcome};
use super::restating::Restated;
use super::reuse::{Reuse, in_order_of_reading};
use super::{Months, Progress, Report, Request, Step, Unchanged, metrics_of};
use crate::domain::month::Month;
use crate::engine::laws::{LawOutcome, LawScope, LawState};
use crate::engine::published::basis::Observation;
use crate::engine::published::entry::{BrokenLaw, Entry, Event, Hold, Merges, Publication, PublishedMetric, State};
use crate::engine::published::scope::Scope;
use crate::engine::published::view::View;
use crate::engine::published::{OWN_FOLDER, RESTATEMENTS, restatements};
use crate::engine::{Engine, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Append, Columns, Content, NewFile, Part, Table, WriteId};
use crate::metrics::SCHEMA;

/// How often a run begins anew because files or what is published changed meanwhile: sources that are written all day
/// are read between two writes at last, and a run that never is should say so.
const BEGINNINGS_MAX: u32 = 5;

/// A run, with what it has written and not yet made visible.
pub(super) struct Run<'a> {
    pub engine: &'a Engine,
    pub request: &'a Request,
    /// Looks at the world of one instant.
    pub session: Session,
    /// The entry that it began from.
    base: Option<Arc<Entry>>,
    /// What was published then.
    pub state: State,
    /// The merges in the tables that it has looked at.
    pub merges: Merges,
    pub run_id: String,
    pub at_micros: i64,
    /// The month that the instant is in, which has not ended.
    pub current: Month,
    /// Files that nobody sees, with their metrics.
    pub written: Vec<(String, Table, Vec<NewFile>)>,
    progress: Progress<'a>,
}

/// How a run ended.
enum Ended {
    Done(Report),
    /// Files or what is published changed meanwhile.
    Overtaken,
}

/// Publishes months.
///
/// # Errors
/// `NotFound` and `Argument` where what is asked for cannot be, `Source`, `Model`, `Query` and `Limit` where a metric
/// cannot be computed, `Storage` where the warehouse cannot be read or written. A run that is held is no error, but a
/// report with the laws that are broken.
pub async fn materialize(engine: &Engine, request: &Request, progress: Progress<'_>) -> Result<Report> {
    let mut beginning = 0;
    loop {
        beginning += 1;
        let mut run = Run::begin(engine, request, progress).await?;
        let metrics = metrics_of(engine, &request.metrics, &run.state)?;
        run.require_ended()?;
        let ended = run.go(&metrics).await;
        run.discard().await;
        let error = match ended {
            Ok(Ended::Done(mut report)) => {
                report.bytes_read = run.session.bytes_scanned();
                return Ok(report);
            }
            Ok(Ended::Overtaken) if beginning < BEGINNINGS_MAX => {
                progress(Step::BeginningAnew);
                continue;
            }
            Ok(Ended::Overtaken) => overtaken(),
            Err(error) => error,
        };
        run.record_failure(&metrics, &error).await;
        return Err(error);
    }
}

/// Returns an error with the metric that could not be computed, which a query by itself does not know.
fn of_query(metric: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Query | ErrorKind::Limit => error.about(&format!("metric \"{metric}\"")),
        _ => error,
    }
}

fn overtaken() -> Error {
    Error::new(ErrorKind::Limit, "files, or what is published, changed whenever months were about to be published")
        .with_hint("try again when nobody writes; nothing was published")
}

impl<'a> Run<'a> {
    async fn begin(engine: &'a Engine, request: &'a Request, progress: Progress<'a>) -> Result<Self> {
        let base = newest_lasting(engine).await?;
        let session = engine.session().at_one_instant();
        let as_of = session.settings().as_of().unwrap_or_default();
        let current = Month::of_day(session.settings().calendar().month(as_of));
        Ok(Self {
            engine,
            request,
            session,
            state: base.as_ref().map(|base| base.state.clone()).unwrap_or_default(),
            base,
            merges: Merges::new(),
            run_id: WriteId::random().to_string(),
            at_micros: engine.now_micros(),
            current,
            written: Vec::new(),
            progress,
        })
    }

    /// Refuses months that have not ended.
    fn require_ended(&self) -> Result<()> {
        match self.request.months {
            Months::Between(_, last) if last >= self.current => {
                Err(Error::new(ErrorKind::Argument, format!("month {last} has not ended at as_of"))
                    .with_hint("half a month is not published: wait for its end; metrics.NAME shows it as it is now"))
            }
            Months::Between(first, last) if first > last => {
                Err(Error::new(ErrorKind::Argument, format!("there is no month from {first} to {last}")))
            }
            _ => Ok(()),
        }
    }

    async fn go(&mut self, metrics: &[String]) -> Result<Ended> {
        let mut report = Report { as_of_micros: self.as_of(), ..Report::default() };
        let (mut found, mut restated, mut reuse) = (Vec::new(), Restated::default(), Reuse::default());
        for (place, metric) in in_order_of_reading(self, metrics).iter().enumerate() {
            (self.progress)(Step::Computing(metric, place, metrics.len()));
            let observation = Observation::of(self.engine, &self.session, metric).await?;
            require_tables(self.engine, &self.state, metric, &observation).await?;
            report.metrics.insert(metric.clone(), BTreeMap::new());
            report.computed.insert(metric.clone(), "none".to_owned());
            if self.is_current(metric, &observation) {
                reuse.add_current(self, metric);
                continue;
            }
            let view = View::of(self.engine, metric).await?;
            let scope = self.scope(&view, &observation).await?;
            if scope.is_nothing() && self.has_inputs_of(metric, &observation) {
                reuse.add_current(self, metric);
                continue;
            }
            let session = reuse.session_of(self, metric).await?;
            let looked = Looked { view, observation, scope };
            let of_metric = Found::of(self, &session, &mut restated, looked).await;
            let of_metric = of_metric.map_err(|error| of_query(metric, error))?;
            reuse.add(self, &of_metric);
            report.computed.insert(metric.clone(), of_metric.scope.words());
            report.metrics.insert(metric.clone(), of_metric.outcomes.clone());
            found.push(of_metric);
        }
        report.restatements = restated.cells;
        let pending = self.pending(&found);
        if !found.iter().any(Found::is_news) && pending == self.state.pending {
            return Ok(Ended::Done(report));
        }
        report.broken = self.broken_laws(&found, &mut reuse).await?;
        if self.has_changed(&found).await? {
            return Ok(Ended::Overtaken);
        }
        let event = if report.broken.is_empty() {
            (self.progress)(Step::Publishing);
            self.state.pending = pending;
            self.publish(&found, restated).await?
        } else {
            let (as_of_micros, broken) = (self.as_of(), report.broken.clone());
            Event::Held(Hold { as_of_micros, metrics: metrics.to_vec(), broken })
        };
        if self.base.as_ref().is_some_and(|base| is_again(&base.event, &event)) {
            return Ok(Ended::Done(report));
        }
        report.version = Some(self.number());
        Ok(match self.append(event).await? {
            Append::Done => Ended::Done(report),
            Append::Taken => Ended::Overtaken,
        })
    }

    fn as_of(&self) -> i64 {
        self.session.settings().as_of().unwrap_or_default()
    }

    /// Returns the number of the entry that the run adds.
    fn number(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.number + 1)
    }

    /// Returns whether all due months of a metric were computed of the same already.
    fn is_current(&self, metric: &str, observation: &Observation) -> bool {
        if self.request.unchanged == Unchanged::IsRewritten || self.request.months != Months::Due {
            return false;
        }
        self.state.is_of(metric, &observation.basis)
    }

    /// Returns the months of a metric that are to be computed.
    async fn scope(&self, view: &View, observation: &Observation) -> Result<Scope> {
        if let Months::Between(first, last) = self.request.months {
            return Ok(Scope::Ranges(vec![(first, last)]));
        }
        if self.request.unchanged == Unchanged::IsRewritten {
            return Ok(Scope::All("asked for".to_owned()));
        }
        match self.state.tables.get(&view.metric) {
            Some(before) => Scope::since(before, (self.engine, &self.session), view, observation).await,
            None => Ok(Scope::All("published for the first time".to_owned())),
        }
    }

    /// Returns whether a metric was computed of the same files already, be it as of another instant.
    fn has_inputs_of(&self, metric: &str, observation: &Observation) -> bool {
        let table = self.state.tables.get(metric);
        table.and_then(|table| table.covered.as_ref()).is_some_and(|covered| covered.inputs == observation.basis.inputs)
    }

    /// Returns the rows of closed months that would change, those of this run and those that it did not look at.
    fn pending(&self, found: &[Found]) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut pending = self.state.pending.clone();
        for found in found {
            for month in found.outcomes.keys() {
                if let Some(of_month) = pending.get_mut(month) {
                    of_month.remove(&found.view.metric);
                }
            }
            for (month, rows) in found.pending() {
                pending.entry(month.clone()).or_default().insert(found.view.metric.clone(), rows);
            }
        }
        pending.retain(|_, of_month| !of_month.is_empty());
        pending
    }

    /// Tries the laws of the metrics that would change.
    async fn broken_laws(&self, found: &[Found], reuse: &mut Reuse) -> Result<Vec<BrokenLaw>> {
        let is_changing = |name: &str| found.iter().any(|found| found.view.metric == name && found.has_new_rows());
        let laws = self.engine.laws(LawScope::Views).into_iter();
        let laws: Vec<_> = laws.filter(|law| law.view.schema == SCHEMA && is_changing(&law.view.name)).collect();
        let session = reuse.session_of_laws(self, &self.engine.reads_of_laws(&laws)).await?;
        let progress = self.progress;
        let outcomes = session.check_laws(laws, |law| progress(Step::Checking(&law.view.name, &law.name))).await?;
        let mut broken = Vec::new();
        for outcome in outcomes.into_iter().filter(LawOutcome::is_error) {
            let (rows, examples) = match outcome.state {
                LawState::Broken { rows, examples } => (Some(rows), examples),
                // What cannot be read now may be read the next time: that is no word on the numbers.
                LawState::Failed(error) if error.kind().is_transient() => return Err(error),
                LawState::Failed(error) => (None, vec![error.to_string()]),
                LawState::Kept => (Some(0), Vec::new()),
            };
            broken.push(BrokenLaw { metric: outcome.law.view.name, law: outcome.law.name, rows, examples });
        }
        Ok(broken)
    }

    /// Returns whether files changed since the run began, or another run added an entry.
    async fn has_changed(&self, found: &[Found]) -> Result<bool> {
        let now = self.engine.session().with_settings(self.session.settings().clone()).at_one_instant();
        for found in found {
            let observation = Observation::of(self.engine, &now, &found.view.metric).await?;
            if observation.basis != found.observation.basis {
                return Ok(true);
            }
        }
        let newest = self.engine.newest_entry().await?;
        Ok(newest.map(|newest| newest.number) != self.base.as_ref().map(|base| base.number))
    }

    /// Writes everything that the entry names, which nobody sees until the entry is there.
    async fn publish(&mut self, found: &[Found], restated: Restated) -> Result<Event> {
        let number = self.number();
        let mut metrics = Vec::new();
        for found in found {
            let (files, unused) = found.new_files();
            // What a version may have is not taken away, whether its commit is known to be durable or not.
            self.written.retain(|(metric, ..)| *metric != found.view.metric);
            self.written.push((found.view.metric.clone(), found.table.clone(), unused));
            let before = found.before.as_ref().map(|before| before.version);
            let version = match before.filter(|_| !found.has_new_rows()) {
                Some(version) => version,
                None => self.commit(found, files).await?,
            };
            found.observation.keep(self.engine.warehouse()).await?;
            let state = found.state(&self.session, version, number).await?;
            self.state.tables.insert(found.view.metric.clone(), state);
            if found.is_news() || found.pending().next().is_some() {
                metrics.push(PublishedMetric {
                    metric: found.view.metric.clone(),
                    computed: found.scope.words(),
                    new: found.months(|outcome| outcome == Outcome::New),
                    restated: found.months(|outcome| outcome == Outcome::Restated),
                    pending: found.months(|outcome| matches!(outcome, Outcome::Pending(_))),
                    rewritten: found.months(|outcome| outcome == Outcome::Rewritten),
                });
            }
        }
        self.remember_merges(found);
        let restatements = restated.cells;
        self.commit_restatements(restated).await?;
        let job = self.request.job.clone();
        Ok(Event::Published(Publication { as_of_micros: self.as_of(), metrics, restatements, job }))
    }

    async fn commit(&self, found: &Found, files: Vec<NewFile>) -> Result<u64> {
        let rows = found.computed.values().map(|computed| computed.rows).sum();
        let new = files.into_iter().map(Part::from);
        let content = Content {
            write: WriteId::random(),
            operation: "WRITE",
            at_micros: self.at_micros,
            columns: found.view.table_columns(),
            parts: found.kept.iter().cloned().chain(new).collect(),
            rows,
        };
        found.table.replace(&content).await
    }

    async fn commit_restatements(&mut self, restated: Restated) -> Result<()> {
        let Some((files, rows)) = restated.finish().await? else { return Ok(()) };
        let table = self.engine.warehouse().table(OWN_FOLDER, RESTATEMENTS)?;
        let mut parts: Vec<Part> = match self.state.restatements {
            None => Vec::new(),
            Some(version) => match table.at(version).await? {
                Some(version) => version.parts()?,
                None => return Err(Error::new(ErrorKind::Storage, "the table of restatements is gone")),
            },
        };
        parts.extend(files.into_iter().map(Part::from));
        let kept = ("delta.enableExpiredLogCleanup".to_owned(), "false".to_owned());
        let columns =
            Columns { schema: restatements(), partitioned_by: Vec::new(), properties: BTreeMap::from([kept]) };
        let (write, at_micros) = (WriteId::random(), self.at_micros);
        let content = Content { write, operation: "WRITE", at_micros, columns, parts, rows };
        self.state.restatements = Some(table.replace(&content).await?);
        Ok(())
    }

    /// Adds the entry, with which everything becomes visible.
    async fn append(&self, event: Event) -> Result<Append> {
        let (number, run_id, at_micros) = (self.number(), self.run_id.clone(), self.at_micros);
        add(self.engine, &Entry { number, run_id, at_micros, event, state: self.state.clone() }).await
    }

    /// Takes away the files that nobody will see.
    async fn discard(&mut self) {
        for (_, table, files) in self.written.drain(..) {
            table.discard(&files).await;
        }
    }

    /// Takes down that the run came to nothing, unless the entry before says just that. What cannot be taken down is in
    /// the error that is returned.
    async fn record_failure(&self, metrics: &[String], error: &Error) {
        if matches!(error.kind(), ErrorKind::Argument | ErrorKind::NotFound | ErrorKind::Cancelled) {
            return;
        }
        let event = Event::Failed { metrics: metrics.to_vec(), error: error.to_string() };
        let Ok(base) = self.engine.newest_entry().await else { return };
        if base.as_ref().is_some_and(|base| is_again(&base.event, &event)) {
            return;
        }
        let number = base.as_ref().map_or(0, |base| base.number + 1);
        let state = base.as_ref().map(|base| base.state.clone()).unwrap_or_default();
        let (run_id, at_micros) = (self.run_id.clone(), self.at_micros);
        if let Err(cause) = add(self.engine, &Entry { number, run_id, at_micros, event, state }).await {
            tracing::warn!(%cause, "a failed run cannot be recorded");
        }
    }
}
