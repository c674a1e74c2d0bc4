//! What a run has computed, or found as it should be, stands in for the views that other metrics and laws read; so do the
//! rows of views whose sidecar says `once`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::outcome::{Found, Outcome};
use super::run::Run;
use crate::catalog::TableId;
use crate::domain::month::Month;
use crate::engine::Session;
use crate::engine::published::entry::TableState;
use crate::engine::published::view::View;
use crate::engine::published::{PUBLISHED, Rest, StandIn, StandIns};
use crate::error::Result;
use crate::lake::{Part, Table};
use crate::metrics::SCHEMA;

/// Months that have not ended are not asked for.
const NO_REST: Option<Rest> = None;

/// No month that has ended is among the rest.
const NO_OTHERS: &[(Month, Month)] = &[];

/// The metrics whose months that have ended lie in files, each as it is when it is computed.
#[derive(Default)]
pub(super) struct Reuse {
    /// Those of which nothing had to be computed, with the versions of their tables.
    current: BTreeMap<String, u64>,
    ready: BTreeMap<String, Arc<Ready>>,
    /// What stands in for whole views, months that have not ended included.
    whole: BTreeMap<TableId, Option<Arc<StandIn>>>,
}

struct Ready {
    view: View,
    table: Table,
    parts: Vec<Part>,
}

impl Reuse {
    /// Notes a metric of which nothing had to be computed.
    pub(super) fn add_current(&mut self, run: &Run<'_>, metric: &str) {
        let is_whole = |table: &&TableState| table.open_until(run.current.plus(-1)).is_empty();
        if let Some(table) = run.state.tables.get(metric).filter(is_whole)
            && !run.state.has_pending(metric)
        {
            self.current.insert(metric.to_owned(), table.version);
        }
    }

    /// Notes a metric that was computed, unless some of its months are not what is, or would be, published.
    pub(super) fn add(&mut self, run: &Run<'_>, found: &Found) {
        let is_other = |outcome: &Outcome| matches!(outcome, Outcome::Pending(_) | Outcome::Incomplete);
        if !found.is_whole || found.outcomes.values().any(is_other) || run.state.has_pending(&found.view.metric) {
            return;
        }
        let (new, _) = found.new_files();
        let parts = found.kept.iter().cloned().chain(new.into_iter().map(Part::from)).collect();
        let ready = Ready { view: found.view.clone(), table: found.table.clone(), parts };
        self.ready.insert(found.view.metric.clone(), Arc::new(ready));
    }

    /// Returns the session in which a metric is computed.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read, `Query` where a view does not plan.
    pub(super) async fn session_of(&mut self, run: &Run<'_>, metric: &str) -> Result<Session> {
        let id = TableId { schema: SCHEMA.to_owned(), name: metric.to_owned() };
        let mut stand_ins = StandIns::default();
        let Some(model) = run.engine.models().get(&id) else { return Ok(run.session.clone()) };
        for read in &model.reads {
            // What reaches no earlier month is not asked for months that have not ended.
            let is_onwards = model.sidecar.reach.get(&read.to_string()).is_some_and(|entry| !entry.is_of_all());
            let has_months = read.schema == SCHEMA && is_onwards;
            let ready = if has_months { self.ready(run, &read.name).await? } else { None };
            match ready {
                Some(ready) => {
                    let reader = ready.table.reader_of(&ready.view.table_columns().schema, &ready.parts)?;
                    if let Some(stand_in) = run.session.stand_in(&read.name, reader, NO_REST).await? {
                        stand_ins.insert(read, Arc::new(stand_in));
                    }
                }
                None => self.put_whole(run, read, &mut stand_ins).await?,
            }
        }
        Ok(run.session.clone().with_stand_ins(stand_ins))
    }

    /// Returns the session in which laws that read some tables are tried: these look at months that have not ended, too.
    ///
    /// # Errors
    /// As [`Reuse::session_of`].
    pub(super) async fn session_of_laws(&mut self, run: &Run<'_>, reads: &BTreeSet<TableId>) -> Result<Session> {
        let mut stand_ins = StandIns::default();
        for read in reads {
            self.put_whole(run, read, &mut stand_ins).await?;
        }
        Ok(run.session.clone().with_stand_ins(stand_ins))
    }

    async fn ready(&mut self, run: &Run<'_>, metric: &str) -> Result<Option<Arc<Ready>>> {
        if let Some(version) = self.current.remove(metric) {
            let view = View::of(run.engine, metric).await?;
            let table = run.engine.warehouse().table(PUBLISHED, metric)?;
            if let Some(version) = table.at(version).await? {
                let parts = version.parts()?;
                self.ready.insert(metric.to_owned(), Arc::new(Ready { view, table, parts }));
            }
        }
        Ok(self.ready.get(metric).cloned())
    }

    /// Puts what stands in for a whole view, or for those that it reads where nothing stands in for itself.
    fn put_whole<'a>(
        &'a mut self,
        run: &'a Run<'_>,
        id: &'a TableId,
        stand_ins: &'a mut StandIns,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let known = match self.whole.get(id) {
                Some(known) => known.clone(),
                None => {
                    let made = self.whole(run, id).await?;
                    self.whole.insert(id.clone(), made.clone());
                    made
                }
            };
            match known {
                Some(known) => stand_ins.insert(id, known),
                None => self.put_behind(run, id, stand_ins).await?,
            }
            Ok(())
        }
        .boxed()
    }

    /// Puts what stands in for the views that a view reads.
    async fn put_behind(&mut self, run: &Run<'_>, id: &TableId, stand_ins: &mut StandIns) -> Result<()> {
        let Some(model) = run.engine.models().get(id) else { return Ok(()) };
        for read in &model.reads {
            self.put_whole(run, read, stand_ins).await?;
        }
        Ok(())
    }

    async fn whole(&mut self, run: &Run<'_>, id: &TableId) -> Result<Option<Arc<StandIn>>> {
        let ready = if id.schema == SCHEMA { self.ready(run, &id.name).await? } else { None };
        let is_once = run.engine.models().get(id).is_some_and(|model| model.sidecar.once);
        if ready.is_none() && !is_once {
            return Ok(None);
        }
        let mut behind = StandIns::default();
        self.put_behind(run, id, &mut behind).await?;
        let session = run.session.clone().with_stand_ins(behind);
        let stand_in = match ready {
            Some(ready) => {
                let reader = ready.table.reader_of(&ready.view.table_columns().schema, &ready.parts)?;
                session.stand_in(&id.name, reader, ready.view.rest(run.current, NO_OTHERS)).await?
            }
            None => session.stand_in_without_files(id).await?,
        };
        Ok(stand_in.map(|stand_in| Arc::new(stand_in.holding_rest())))
    }
}

/// Returns metrics in an order in which each comes after those that it reads.
pub(super) fn in_order_of_reading(run: &Run<'_>, metrics: &[String]) -> Vec<String> {
    let models = run.engine.models();
    let behind = |metric: &String| {
        let id = TableId { schema: SCHEMA.to_owned(), name: metric.clone() };
        models.closure([id]).into_iter().filter(|id| id.schema == SCHEMA).count()
    };
    // What a view reads, reads less than the view.
    let mut ordered = metrics.to_vec();
    ordered.sort_by_cached_key(|metric| (behind(metric), metric.clone()));
    ordered
}
