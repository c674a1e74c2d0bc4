//! What is written down of what is done: writes, refusals, what was read again, users and tokens.

use std::path::Path;
use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use futures::{TryStreamExt, stream};
use serde_json::Value;
use topline::auth::Secret;
use topline::auth::users::Users;
use topline::config::{AuditConfig, Config, Environment, Limits, Location, Warehouse};
use topline::domain::clock::Clock;
use topline::engine::Engine;

use crate::company;
use crate::project::Project;
use crate::server::Server;

/// Returns the lines of a log.
fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("it is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Returns the lines of refusals, which stand beside a log.
fn refusals(log: &Path) -> Vec<Value> {
    lines(&log.with_file_name("audit.log.refused"))
}

/// Returns the outcomes of an act upon an object, in their order.
fn outcomes(log: &Path, act: &str, object: &str) -> Vec<String> {
    let of = lines(log).into_iter().filter(|line| line["act"] == act && line["object"] == object);
    of.filter_map(|line| line["outcome"].as_str().map(str::to_owned)).collect()
}

async fn audited(folder: &Path) -> Engine {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let warehouse =
        Warehouse { location: Location::Local(folder.join("warehouse")), is_configured: true, is_accelerating: false };
    let path = folder.join("audit.log");
    let audit = Some(AuditConfig { path, max_bytes: 1 << 20, keep: 3, is_required: true });
    Engine::open(Config { warehouse, audit, ..config }).await.expect("it opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_refusals_are_written_down_and_nothing_is_done_that_cannot_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::over(audited(folder.path()).await).await;
    let mut client = server.client().await;
    assert_eq!(
        client.execute_update("create table sandbox.kept as select 1 as x".to_owned(), None).await.ok(),
        Some(1)
    );
    client.execute("copy crm.accounts to 'x.csv'".to_owned(), None).await.expect_err("it is refused");
    let nothing = client.execute("kill '0000000000000000'".to_owned(), None).await.expect("it plans");
    let nothing = client.do_get(nothing.endpoint[0].ticket.clone().expect("a ticket")).await.expect("it begins");
    nothing.try_collect::<Vec<_>>().await.expect_err("there is no such query, and no line of it");
    let log = folder.path().join("audit.log");
    let lines = lines(&log);
    let told: Vec<_> = lines.iter().map(|line| [&line["act"], &line["object"], &line["outcome"]]).collect();
    let (table, outcome) = ("create table sandbox.kept", "1 row, ");
    assert_eq!(told[0].map(|word| word.as_str().unwrap_or_default().to_lowercase()), ["written", table, "begun"]);
    assert_eq!(told[1].map(|word| word.as_str().unwrap_or_default().to_lowercase())[..2], ["written", table]);
    assert!(told[1][2].as_str().is_some_and(|told| told.starts_with(outcome) && told.ends_with(" bytes")), "{lines:?}");
    assert_eq!(told.len(), 2, "{lines:?}");
    let refused = refusals(&log);
    assert_eq!((refused.len(), &refused[0]["act"]), (1, &"refused".into()));
    assert!(refused[0]["outcome"].as_str().is_some_and(|why| why.starts_with("copy is not allowed")), "{refused:?}");
    assert_eq!((&refused[0]["user"], &refused[0]["address"]), (&"anonymous".into(), &"127.0.0.1".into()));
    std::fs::remove_file(&log).expect("it was there");
    std::fs::create_dir(&log).expect("a folder in its place");
    let refused = client.execute_update("create table sandbox.lost as select 1 as x".to_owned(), None).await;
    assert!(refused.expect_err("it cannot be written down").to_string().contains("so it is not done"));
    std::fs::remove_dir(&log).expect("it is there");
    let names = client.execute("select 1 from sandbox.lost".to_owned(), None).await;
    assert!(names.expect_err("it was not made").to_string().contains("does not exist"));
    server.stop().await;
}

fn numbers(count: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(0..count);
    RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).expect("a column")
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_have_an_end_whatever_becomes_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::over(audited(folder.path()).await).await;
    let mut client = server.client().await;
    let mut load = async |exists: TableExistsOption| {
        let options =
            TableDefinitionOptions { if_not_exist: TableNotExistOption::Create.into(), if_exists: exists.into() };
        let command = CommandStatementIngest {
            table_definition_options: Some(options),
            table: "loaded".to_owned(),
            schema: Some("sandbox".to_owned()),
            catalog: None,
            temporary: false,
            transaction_id: None,
            options: Default::default(),
        };
        client.execute_ingest(command, stream::iter([Ok(numbers(7))])).await
    };
    assert_eq!(load(TableExistsOption::Fail).await.expect("it is made"), 7);
    load(TableExistsOption::Fail).await.expect_err("it exists");
    let told = outcomes(&folder.path().join("audit.log"), "written", "ingest sandbox.loaded");
    assert_eq!((told.len(), told[0].as_str(), told[2].as_str()), (4, "begun", "begun"));
    let bytes = told[1].strip_prefix("7 rows, ").and_then(|rest| rest.strip_suffix(" bytes"));
    assert!(bytes.and_then(|bytes| bytes.parse::<u64>().ok()).is_some_and(|bytes| bytes > 0), "{told:?}");
    assert_eq!(told[3], "table \"sandbox.loaded\" exists already");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_nobody_waits_for_any_more_is_told_as_broken_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = audited(folder.path()).await;
    let endless = "create table sandbox.endless as select value from generate_series(1, 1000000000000)";
    let mut session = engine.session();
    let mut writing = Box::pin(session.run(endless));
    let log = folder.path().join("audit.log");
    let table = "create table sandbox.endless";
    while outcomes(&log, "written", table).is_empty() {
        let step = tokio::time::timeout(std::time::Duration::from_millis(20), &mut writing).await;
        assert!(step.is_err(), "it has no end");
    }
    drop(writing);
    assert_eq!(outcomes(&log, "written", table), ["begun", "broken off: its client went away, or the server stopped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_ends_a_stream_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = audited(folder.path()).await.config().clone();
    let limits = Limits { rows: Some(10_000), ..config.limits };
    let server = Server::over(Engine::open(Config { limits, ..config }).await.expect("it opens")).await;
    let mut client = server.client().await;
    let info =
        client.execute("select value from generate_series(1, 1000000)".to_owned(), None).await.expect("it plans");
    let rows = client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await.expect("it starts");
    rows.try_collect::<Vec<_>>().await.expect_err("there is a limit");
    let lines = refusals(&folder.path().join("audit.log"));
    let [told] = lines.as_slice() else { panic!("one line: {lines:?}") };
    assert_eq!(
        (&told["act"], &told["user"], &told["address"]),
        (&"refused".into(), &"anonymous".into(), &"127.0.0.1".into())
    );
    assert_eq!(told["outcome"], "the result has more than 10000 rows");
    let object = told["object"].as_str().expect("a text");
    assert!(object.strip_prefix("query ").is_some_and(|id| id.len() == 16), "{object}");
    server.stop().await;
}

const CONFIG: &str = r#"
[warehouse]
location = "warehouse"

[auth]
users = "users.toml"

[audit]
path = "audit.log"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_that_are_read_again_are_told_by_name() {
    let project = Project::new();
    company::lay_out(&project);
    let configuration = |roles: &str| format!("{}{CONFIG}{roles}", company::CONFIGURATION);
    project.text("topline.toml", &configuration("[roles.all]\nread = [\"*\"]\ndefault = true\n"));
    let (users, log) = (project.path("users.toml"), project.path("audit.log"));
    let token = Users::edit(&users, |users| {
        users.add("ann", None)?;
        users.add_token("ann", Clock::System)
    });
    let server = Server::over(project.open().await.expect("the project opens")).await;
    let mut client = server.client().await;
    client.set_header("authorization", format!("Bearer {}", token.expect("she is added").reveal()));
    let mut call = async || client.execute("select 1".to_owned(), None).await.map(drop);
    call().await.expect("she may");
    assert_eq!(lines(&log), Vec::<Value>::new());
    Users::edit(&users, |users| {
        users.grant("ann", Some("all".to_owned()), [].into())?;
        users.add("bob", Some(&Secret::new("correct horse")))
    })
    .expect("they are changed");
    call().await.expect("she may");
    let told = ["added \"bob\"; changed \"ann\""];
    assert_eq!(outcomes(&log, "reloaded", "users"), told);
    replace(&project, "users.toml", "[users");
    call().await.expect("those before stay");
    let refused = outcomes(&log, "reloaded", "users").pop().expect("a line");
    assert!(refused.starts_with("refused: "), "{refused}");
    replace(&project, "topline.toml", &configuration("[roles.all]\nread = [\"crm\"]\n[roles.few]\nread = [\"crm\"]\n"));
    call().await.expect("she may");
    assert_eq!(outcomes(&log, "reloaded", "roles"), ["added \"few\"; changed \"all\""]);
    replace(&project, "topline.toml", &configuration("[roles.all]\nread = [\"crm.nothing\"]\n"));
    call().await.expect("those before stay");
    let refused = outcomes(&log, "reloaded", "roles").pop().expect("a line");
    assert!(refused.starts_with("refused: "), "{refused}");
    let text = std::fs::read_to_string(&log).expect("it is there");
    assert!(!text.contains("argon2") && !text.contains("sha256"), "no secrets: {text}");
    server.stop().await;
}

/// Puts a file in the place of another, as editors do.
fn replace(project: &Project, name: &str, text: &str) {
    let next = format!("{name}.next");
    project.text(&next, text);
    #[cfg(unix)]
    std::fs::set_permissions(project.path(&next), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    std::fs::rename(project.path(&next), project.path(name)).expect("it is renamed");
}
