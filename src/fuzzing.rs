//! What the targets in `fuzz/` do with what they are given, a function for each. Nothing that a client sends or a file holds
//! may panic, take for ever, or be a fault of topline's own.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

use crate::auth::Caller;
use crate::catalog::TableId;
use crate::catalog::contract::Contract;
use crate::config::{Config, Environment, Limits, SandboxLimits};
use crate::engine::{Engine, STACK_BYTES};
use crate::error::ErrorKind;
use crate::flight::fuzzing::Wire;
use crate::models::ModelSet;

/// The sample, with a role that reads a part of it.
const ROLES: &str = r#"
    [sources.crm]
    connector = "canonical"
    location = "crm"

    [roles.part]
    read = ["*"]
    hide = ["crm.contacts.email", "metrics.cac"]
    filters = [{ table = "crm.accounts", where = "country = user_attribute('country')" }]
    masks = [{ table = "billing.customers", column = "email", mask = "partial" }]
"#;

/// The line between a model's select and its sidecar.
const SIDECAR: &str = "\n---\n";

/// What is made once for all inputs.
struct World {
    runtime: Runtime,
    whole: Engine,
    part: Engine,
    wire: Wire,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        // Planning goes as deep as on the threads of a server.
        let runtime = Builder::new_multi_thread().thread_stack_size(STACK_BYTES).worker_threads(1).enable_all().build();
        let runtime = runtime.expect("the machine has threads");
        let opened = runtime.block_on(async {
            let sample = Config::sample(&Environment::default())?;
            // Planning writes nothing, but a ticket of a statement that writes would.
            let sandbox = SandboxLimits { is_writable: bool::default(), ..sample.sandbox };
            let limits = Limits { threads: 1, ..sample.limits };
            let config = Config { sandbox, limits, roles: Config::of_text(ROLES)?.roles, ..sample };
            let whole = Engine::open(config).await?;
            let attributes = [("country".to_owned(), "DE".to_owned())].into();
            let part = whole.as_user(&Caller::granted("ann", Some("part"), attributes)).await?;
            Ok::<_, crate::Error>((Wire::over(part.clone())?, part, whole))
        });
        let (wire, part, whole) = opened.expect("the sample opens");
        Self { runtime, whole, part, wire }
    }

    /// Does work on a thread with the stack for it.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let done = self.runtime.block_on(async { tokio::spawn(work).await });
        done.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()))
    }
}

/// Sends bytes as a descriptor and as a ticket.
pub fn ticket(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    for error in WORLD.run(async move { WORLD.wire.ticket(&bytes).await }) {
        assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}");
    }
}

/// Sends bytes as a handle, raw and sealed.
pub fn handle(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    for error in WORLD.run(async move { WORLD.wire.handle(&bytes).await }) {
        assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}");
    }
}

/// Plans a text of SQL to its end, for everyone and for a role.
pub fn sql_gate(sql: &str) {
    for engine in [&WORLD.whole, &WORLD.part] {
        let (session, sql) = (engine.session(), sql.to_owned());
        WORLD.run(async move {
            if let Ok(statement) = session.prepare(&sql).await
                && statement.parameters().is_ok_and(|parameters| parameters.is_empty())
            {
                drop(statement.physical_plan(None).await);
            }
        });
    }
}

/// Reads a text as the configuration, and checks its roles.
pub fn configuration(text: &str) {
    let config = match Config::of_text(text) {
        Ok(config) => config,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Config, "{error:?}"),
    };
    if let Err(error) = WORLD.run(async move { WORLD.whole.check_roles(&config.roles).await }) {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

/// Reads a text as tables of the contract, and as a model: a select and its sidecar, with a line `---` between.
pub fn contract(text: &str) {
    drop(Contract::of_text("crm", text));
    let (sql, sidecar) = text.split_once(SIDECAR).unwrap_or((text, ""));
    let id = TableId { schema: "metrics".to_owned(), name: "mine".to_owned() };
    drop(ModelSet::check_alone(&id, sql, sidecar));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn each_of(target: &str, take: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(folder).expect("the target has a corpus").collect();
        assert!(!files.is_empty(), "{target}");
        for file in files {
            take(&std::fs::read(file.expect("an entry of the folder").path()).expect("a file"));
        }
    }

    fn texts_of(target: &str, take: impl Fn(&str)) {
        each_of(target, |bytes| take(std::str::from_utf8(bytes).expect("a text")));
    }

    #[test]
    fn everything_in_the_corpora_is_taken() {
        each_of("ticket", ticket);
        each_of("handle", handle);
        texts_of("sql_gate", sql_gate);
        texts_of("configuration", configuration);
        texts_of("contract", contract);
    }
}
