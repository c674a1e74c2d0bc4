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
use crate::domain::names::differences;
use crate::engine::state::Shared;
use crate::error::Result;
use crate::functions::masks::TextMask;

/// What the audit log calls them.
const ROLES: &str = "roles";

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
    /// Those that hold.
    held: Arc<Configured>,
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
            Some(file) => {
                let audit = Arc::clone(&whole.audit);
                let roles = Watched::open(vec![file.clone()], move || roles_of_file(&file))?;
                // Those that can be read are checked before it is said what became of them.
                Some(roles.telling(move |reload| {
                    if let Err(error) = reload.outcome {
                        audit.record_reload(ROLES, &format!("refused: {}", error.message()));
                    }
                }))
            }
            None => None,
        };
        let roles = Self { file, latest: tokio::sync::Mutex::default(), hash: OnceCell::new() };
        let configured = Arc::new(config.roles.clone());
        let generation = roles.generation(whole, &configured).await?;
        *roles.latest.lock().await = Latest { configured: Some(Arc::clone(&configured)), held: configured, generation };
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
            whole.audit.record_reload(ROLES, "refused: there are none any more");
            return latest.generation.clone();
        }
        match self.generation(whole, &configured).await {
            Ok(generation) => {
                tracing::info!(roles = configured.len(), "changed roles hold from now on");
                whole.audit.record_reload(ROLES, &differences(&latest.held, &configured));
                (latest.held, latest.generation) = (configured, generation);
            }
            Err(error) => {
                tracing::warn!(%error, hint = error.hint(), "changed roles are refused, those before are kept");
                whole.audit.record_reload(ROLES, &format!("refused: {}", error.message()));
            }
        }
        latest.generation.clone()
    }

    pub(super) async fn generation(
        &self,
        whole: &Arc<Shared>,
        configured: &Configured,
    ) -> Result<Option<Arc<Generation>>> {
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
    if !ServerKey::is_kept(config) {
        tracing::warn!("masks that hash give other values after each start: name a key with [auth] signing_key");
    }
    let key = ServerKey::of_config(config)?;
    Ok(Arc::new(TextMask::Hash(Arc::new(key.of_masks())).function()))
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
