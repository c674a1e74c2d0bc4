//! Answers from what is published, where that is what computing gives: `[warehouse] accelerate = true`.
//!
//! A month is read where it was computed of the files that the query itself reads, of the SQL and under the settings that
//! are in force, or where nothing that changed since touches it. All other months are computed.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::basis::Observation;
use super::entry::{State, WHOLE};
use super::scope::Scope;
use super::view::{View, month_of};
use super::{PUBLISHED, StandIn, StandIns};
use crate::auth::ANONYMOUS;
use crate::catalog::TableId;
use crate::domain::month::Month;
use crate::engine::{Engine, Session};
use crate::error::{ErrorKind, Result};
use crate::functions::names::SessionUser;
use crate::lake::Part;
use crate::metrics;

/// Which views of schema `metrics` a session reads in files.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) enum Acceleration {
    /// None.
    #[default]
    Off,
    /// Those of which published months are as they are when they are computed, but for some.
    But(Arc<BTreeSet<String>>),
}

impl Session {
    /// Returns the session, at one instant, with files in the place of the views behind some tables.
    ///
    /// # Errors
    /// `Source` or `Storage` where files cannot be listed or the warehouse cannot be read.
    pub(in crate::engine) async fn accelerated(&self, reads: &BTreeSet<TableId>) -> Result<Self> {
        let Acceleration::But(computed) = &self.acceleration else { return Ok(self.clone()) };
        let Some(entry) = self.shared.published.newest().await? else { return Ok(self.clone()) };
        let session = self.clone().at_one_instant().with_acceleration(self.acceleration.clone());
        let accelerating = Accelerating { session, state: &entry.state, computed };
        let mut stand_ins = StandIns::default();
        for read in reads {
            accelerating.put(read, &mut stand_ins).await?;
        }
        Ok(accelerating.session.clone().with_stand_ins(stand_ins))
    }
}

/// The views of one query.
struct Accelerating<'a> {
    session: Session,
    state: &'a State,
    /// Those that are computed, as their own rest is asked for.
    computed: &'a BTreeSet<String>,
}

impl Accelerating<'_> {
    /// Puts what stands in for a view, or for those that it reads where nothing stands in for itself.
    fn put<'a>(&'a self, id: &'a TableId, stand_ins: &'a mut StandIns) -> BoxFuture<'a, Result<()>> {
        async move {
            if id.schema == metrics::SCHEMA
                && !self.computed.contains(&id.name)
                && let Some(stand_in) = self.stand_in(id).await?
            {
                stand_ins.insert(id, Arc::new(stand_in));
                return Ok(());
            }
            if let Some(model) = self.session.shared.models.get(id) {
                for read in &model.reads {
                    self.put(read, stand_ins).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }

    async fn stand_in(&self, id: &TableId) -> Result<Option<StandIn>> {
        let Some(published) = self.state.tables.get(&id.name) else { return Ok(None) };
        if published.covered.is_none() || self.state.has_pending(&id.name) {
            return Ok(None);
        }
        let engine = Engine::over(Arc::clone(&self.session.shared), SessionUser::owner(ANONYMOUS));
        let view = match View::of(&engine, &id.name).await {
            // What cannot be published any more can still be computed.
            Err(error) if matches!(error.kind(), ErrorKind::Model | ErrorKind::Query) => return Ok(None),
            view => view?,
        };
        let now = Observation::of(&engine, &self.session, &id.name).await?;
        let scope = Scope::since(published, (&engine, &self.session), &view, &now).await?;
        let Scope::Ranges(others) = &scope else { return Ok(None) };
        let version = engine.shared.published.version(PUBLISHED, &id.name, published.version).await?;
        let parts: Vec<Part> = version.parts()?.into_iter().filter(|part| is_right(&scope, &month_of(part))).collect();
        let files = engine.warehouse().table(PUBLISHED, &id.name)?.reader_of(&view.table_columns().schema, &parts)?;
        let as_of_micros = self.session.settings().as_of().unwrap_or_default();
        let current = Month::of_day(self.session.settings().calendar().month(as_of_micros));
        let computed = self.computed.iter().cloned().chain([id.name.clone()]).collect();
        let session = self.session.clone().with_acceleration(Acceleration::But(Arc::new(computed)));
        session.stand_in(&id.name, files, view.rest(current, others)).await
    }
}

fn is_right(scope: &Scope, month: &str) -> bool {
    month == WHOLE || !scope.has(month)
}

impl Session {
    fn with_acceleration(mut self, acceleration: Acceleration) -> Self {
        self.acceleration = acceleration;
        self
    }
}
