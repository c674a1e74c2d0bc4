//! The roles of the configuration as they are now, and the state of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::logical_expr::ScalarUDF;
use tokio::sync::OnceCell;

use super::sight::Sight;
use super::{refused, rules, seen};
use crate::auth::watched::Watched;
use crate::auth::{Caller, ServerKey};
use crate::config::{Config, Mask, RoleConfig, roles_of_file};
use crate::engine::state::Shared;
use crate::error::Result;
use crate::functions::masks::TextMask;

/// The configured roles, by name.
type Configured = BTreeMap<String, RoleConfig>;

/// The roles, read again when the configuration file changes. What is wrong leaves those before as they are.
#[derive(Debug)]
pub(in crate::engine) struct Roles {
    file: Option<Watched<Configured>>,
    latest: tokio::sync::Mutex<Latest>,
    hash: OnceCell<Arc<ScalarUDF>>,
}

#[derive(Debug, Default)]
struct Latest {
    /// What was looked at last, right or wrong.
    configured: Option<Arc<Configured>>,
    generation: Option<Arc<Generation>>,
}

/// The roles of one version of the configuration.
#[derive(Debug)]
pub(super) struct Generation {
    sights: BTreeMap<String, Arc<Sight>>,
    /// The states that somebody asked for, one for each role at most.
    states: Mutex<HashMap<String, Arc<Shared>>>,
}

impl Roles {
    /// Checks the roles of a configuration.
    ///
    /// # Errors
    /// `Config` with every problem: tables and columns that there are not, conditions that are none.
    pub(in crate::engine) async fn open(whole: &Arc<Shared>) -> Result<Self> {
        let config = &whole.config;
        let file = match config.file.clone() {
            Some(file) => Some(Watched::open(vec![file.clone()], move || roles_of_file(&file))?),
            None => None,
        };
        let roles = Self { file, latest: tokio::sync::Mutex::default(), hash: OnceCell::new() };
        let configured = Arc::new(config.roles.clone());
        let generation = roles.generation(whole, &configured).await?;
        *roles.latest.lock().await = Latest { configured: Some(configured), generation };
        Ok(roles)
    }

    /// Returns the roles as they are now; `None` where there are none, and everyone reads everything.
    pub(super) async fn current(&self, whole: &Arc<Shared>) -> Option<Arc<Generation>> {
        let configured = self.file.as_ref().map(Watched::current);
        let mut latest = self.latest.lock().await;
        let Some(configured) = configured.filter(|now| latest.configured.as_ref().is_none_or(|known| known != now))
        else {
            return latest.generation.clone();
        };
        latest.configured = Some(Arc::clone(&configured));
        if configured.is_empty() && latest.generation.is_some() {
            // A file that is being written is empty for a moment.
            tracing::warn!("the configuration has no roles any more, those before are kept until a restart");
            return latest.generation.clone();
        }
        match self.generation(whole, &configured).await {
            Ok(generation) => {
                tracing::info!(roles = configured.len(), "changed roles hold from now on");
                latest.generation = generation;
            }
            Err(error) => {
                tracing::warn!(%error, hint = error.hint(), "changed roles are refused, those before are kept");
            }
        }
        latest.generation.clone()
    }

    async fn generation(&self, whole: &Arc<Shared>, configured: &Configured) -> Result<Option<Arc<Generation>>> {
        if configured.is_empty() {
            return Ok(None);
        }
        let hashes = configured.values().flat_map(|role| &role.masks).any(|mask| mask.mask == Mask::Hash);
        let hash = match hashes {
            true => Some(self.hash.get_or_try_init(async || hash_function(&whole.config)).await?),
            false => None,
        };
        let sights = rules::checked(whole, configured, hash).await?;
        Ok(Some(Arc::new(Generation { sights, states: Mutex::default() })))
    }
}

/// Returns the function of masks that hash, under the server's key.
fn hash_function(config: &Config) -> Result<Arc<ScalarUDF>> {
    Ok(Arc::new(TextMask::Hash(Arc::new(ServerKey::of_config(config)?.of_masks())).function()))
}

impl Generation {
    /// Returns what a user sees.
    ///
    /// # Errors
    /// `Refused` where the user has no role, or one that there is not.
    pub(super) fn sight(&self, caller: &Caller) -> Result<&Arc<Sight>> {
        let name = caller.name();
        match caller.role() {
            Some(role) => self
                .sights
                .get(role)
                .ok_or_else(|| refused(format!("user \"{name}\" has role \"{role}\", which is not configured"))),
            None => self
                .sights
                .values()
                .find(|sight| sight.config.is_default)
                .ok_or_else(|| refused(format!("user \"{name}\" has no role, and may read nothing"))),
        }
    }

    /// Returns the state of a role.
    pub(super) fn state(&self, whole: &Arc<Shared>, sight: &Arc<Sight>) -> Arc<Shared> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(sight.role.clone()).or_insert_with(|| seen::state_of(whole, sight));
        Arc::clone(state)
    }
}
