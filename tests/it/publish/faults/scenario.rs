//! What a process is about to do to a warehouse, what it finds there, and what one clean process makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use topline::domain::clock::Clock;
use topline::engine::Engine;
use topline::engine::published::entry::Entry;
use topline::engine::published::{OWN_FOLDER, PUBLISHED, RESTATEMENTS};
use topline::lake::Lake;
use topline::publish::{Progress, Step, close, materialize, reopen};
use topline::{ErrorKind, Result};

use super::super::{EVER_SIDECAR, EVER_SQL, PAID_SIDECAR, PAID_SQL, Shop, due, rows};
use super::store::Process;
use crate::project::answer;

/// The metrics: small ones, so that a thousand runs take a minute.
pub const METRICS: [&str; 2] = ["paid", "paid_ever"];

/// A table of months and one without, which agree where both are of one entry.
const LOOK: &str = "select months.paid, ever.paid from (select sum(paid) as paid from published.paid) as months
    cross join published.paid_ever as ever";

/// What is done.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    Publish,
    Close,
    Reopen,
}

/// What comes before.
#[derive(Debug, Clone, Copy)]
enum Before {
    Done(Deed),
    /// A late payment of so many cents of February; later ones take the place of earlier ones.
    Paid(i64),
    /// The payments of all months but the late one are gone.
    Lost,
    /// The metric has one more column.
    Widened,
    /// So many late payments, each published, that the logs are about to be written in one piece.
    Worn,
}

/// Commits of a table after which its log is written in one piece, but for the first and the one that is to come.
const WORN_COMMITS: i64 = 19;

/// Every scenario: its name, what came before, and the deed. The last takes several times as long as the others.
const SCENARIOS: [(&str, &[Before], Deed); 11] = [
    ("first", &[], Deed::Publish),
    ("nothing new", &[Before::Done(Deed::Publish)], Deed::Publish),
    ("late", &[Before::Done(Deed::Publish), Before::Paid(5_000)], Deed::Publish),
    ("lost", &[Before::Paid(5_000), Before::Done(Deed::Publish), Before::Lost], Deed::Publish),
    ("pending", &[Before::Done(Deed::Publish), Before::Done(Deed::Close), Before::Paid(5_000)], Deed::Publish),
    ("held", &[Before::Done(Deed::Publish), Before::Paid(95_000)], Deed::Publish),
    ("widened", &[Before::Done(Deed::Publish), Before::Paid(5_000), Before::Widened], Deed::Publish),
    (
        "reopened",
        &[
            Before::Done(Deed::Publish),
            Before::Done(Deed::Close),
            Before::Paid(5_000),
            Before::Done(Deed::Publish),
            Before::Done(Deed::Reopen),
        ],
        Deed::Publish,
    ),
    ("close", &[Before::Done(Deed::Publish)], Deed::Close),
    ("reopen", &[Before::Done(Deed::Publish), Before::Done(Deed::Close), Before::Paid(5_000)], Deed::Reopen),
    ("worn", &[Before::Done(Deed::Publish), Before::Worn, Before::Paid(5_000)], Deed::Publish),
];

/// A deed with the warehouse that it finds.
pub struct Scenario {
    pub name: &'static str,
    shop: Shop,
    pub deed: Deed,
    /// The warehouse before.
    pub before: InMemory,
    /// The warehouse after one clean process.
    pub clean: Seen,
    /// What a reader may see on the way.
    pub looks: [String; 2],
    /// The calls of a clean process.
    pub calls: u32,
    /// The steps that it tells of.
    pub steps: u32,
}

impl Scenario {
    /// Returns every scenario. Tests that run at the same time share them, and the last takes their folders away.
    pub async fn all() -> Arc<Vec<Arc<Self>>> {
        static ALL: Mutex<Weak<Vec<Arc<Scenario>>>> = Mutex::const_new(Weak::new());
        let mut known = ALL.lock().await;
        if let Some(all) = known.upgrade() {
            return all;
        }
        let mut all = Vec::new();
        for (name, before, deed) in SCENARIOS {
            all.push(Arc::new(Self::new(name, before, deed).await));
        }
        let all = Arc::new(all);
        *known = Arc::downgrade(&all);
        all
    }

    async fn new(name: &'static str, before: &[Before], deed: Deed) -> Self {
        let shop = Shop::new();
        shop.project.text("models/metrics/paid_ever.sql", EVER_SQL);
        shop.project.text("models/metrics/paid_ever.toml", EVER_SIDECAR);
        let store = Arc::new(InMemory::new());
        for step in before {
            match step {
                Before::Done(deed) => drop(perform(*deed, &open(&shop, store.clone()).await, &|_| {}).await),
                Before::Paid(cents) => shop.pay_late(*cents),
                Before::Lost => shop.project.remove("billing/payments/first.parquet"),
                Before::Widened => widen(&shop),
                Before::Worn => {
                    let engine = open(&shop, store.clone()).await;
                    for cents in 1..=WORN_COMMITS {
                        shop.pay_late(cents);
                        perform(Deed::Publish, &engine, &|_| {}).await.expect("it publishes");
                    }
                }
            }
        }
        let before = store.fork();
        let first = look(&open(&shop, store.clone()).await).await;
        let process = Process::new(store.clone(), Vec::new(), Vec::new());
        let steps = AtomicU32::new(0);
        let count = |_: Step<'_>| {
            steps.fetch_add(1, Ordering::Relaxed);
        };
        perform(deed, &open(&shop, Arc::new(process.clone())).await, &count).await.expect("a clean process ends well");
        let reader = open(&shop, store).await;
        let (clean, looks) = (Seen::of(&reader).await, [first, look(&reader).await]);
        Self { name, shop, deed, before, clean, looks, calls: process.calls(), steps: steps.into_inner() }
    }

    /// Opens an engine on a warehouse, whose queries use one thread.
    pub async fn open(&self, store: Arc<dyn ObjectStore>) -> Engine {
        open(&self.shop, store).await
    }
}

async fn open(shop: &Shop, store: Arc<dyn ObjectStore>) -> Engine {
    let mut config = shop.project.config(&[]).expect("a right configuration");
    config.limits.threads = 1;
    let lake = Lake::over(store, "memory".to_owned()).expect("a lake");
    Engine::open_over(config, Clock::System, lake).await.expect("the project opens")
}

fn widen(shop: &Shop) {
    let sql = PAID_SQL.replace("    count(*) as payments,", "    count(*) as payments,\n    min(amount) as least,");
    let sidecar =
        PAID_SIDECAR.replace("how many\"],", "how many\"],\n    [\"least\", \"money\", \"the least of them\"],");
    shop.project.text("models/metrics/paid.sql", &sql);
    shop.project.text("models/metrics/paid.toml", &sidecar);
}

/// Does a deed; one that was done already is no error. Returns the entry that it added.
pub async fn perform(deed: Deed, engine: &Engine, progress: Progress<'_>) -> Result<Option<u64>> {
    let february = "2026-02".parse().expect("a month");
    let decided = match deed {
        Deed::Publish => return materialize(engine, &due(&METRICS), progress).await.map(|report| report.version),
        Deed::Close => close(engine, february, "board report", "ann").await,
        Deed::Reopen => reopen(engine, february, "credit note", "bob").await,
    };
    match decided {
        Err(error) if error.kind() == ErrorKind::Argument => Ok(None),
        decided => decided.map(Some),
    }
}

/// Returns what both tables say in one query.
pub async fn look(engine: &Engine) -> String {
    match answer(engine, LOOK).await {
        Ok(rows) => rows.join("\n"),
        Err(error) if error.kind() == ErrorKind::NotFound => "nothing".to_owned(),
        Err(error) => panic!("{error:#?}"),
    }
}

/// A warehouse as a reader sees it, without what differs from run to run.
#[derive(Debug, PartialEq)]
pub struct Seen {
    /// The entries of the ledger but those of failed runs, with their states.
    entries: Vec<Value>,
    /// Rows of the tables, and those of restatements.
    rows: Vec<String>,
}

/// What a reader sees of the tables; the last counts rows of runs that are not on the record.
const ROWS: [&str; 4] = [
    "select * exclude (_run_id) from published.paid order by month",
    "select * exclude (_run_id) from published.paid_ever",
    "select * exclude (run_id, at) from meta.restatements order by metric, month, key, \"column\", value_after",
    "select count(*) from (
        select _run_id from published.paid union all select _run_id from published.paid_ever
        union all select run_id from meta.restatements
    ) as written where _run_id not in (select run_id from meta.runs where kind = 'published')",
];

impl Seen {
    /// Looks at a warehouse through an engine to whose calls nothing happens.
    pub async fn of(engine: &Engine) -> Self {
        let (mut entries, mut places, mut state) = (Vec::new(), BTreeMap::new(), Value::Null);
        let mut has_failed = false;
        for number in 0.. {
            let Some(document) = engine.ledger().read(number).await.expect("it can be read") else { break };
            let entry: Value = serde_json::from_slice(&document).expect("JSON");
            assert_eq!(entry["number"], number, "an entry in another's place");
            if entry["event"]["kind"] == "failed" {
                let is_first = state == Value::Null && entry["state"]["tables"] == json!({});
                assert!(is_first || entry["state"] == state, "entry {number} of a failed run changes something");
                has_failed = true;
                continue;
            }
            state = entry["state"].clone();
            let is_failed = std::mem::take(&mut has_failed);
            places.insert(number, entries.len());
            let entry = plain(&entry, &places);
            // That a run is held is said again where another failed since.
            let is_again = is_failed && entry["event"]["kind"] == "held" && entries.last() == Some(&entry);
            if !is_again {
                entries.push(entry);
            }
        }
        let mut found = lost(engine).await;
        for sql in ROWS {
            found.extend(rows(engine, sql).await);
        }
        Self { entries, rows: found }
    }

    /// Returns how another differs, in few lines.
    pub fn difference(&self, other: &Self) -> String {
        let texts = |seen: &Self| -> Vec<String> {
            let events = seen.entries.iter().map(|entry| format!("{}", entry["event"]));
            let states = seen.entries.last().map(|entry| format!("{}", entry["state"]));
            events.chain(states).chain(seen.rows.iter().cloned()).collect()
        };
        let (expected, found) = (texts(self), texts(other));
        let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
        let other = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
        let counts = format!("{} lines, expected {}", found.len(), expected.len());
        missing.chain(other).chain([counts]).collect::<Vec<_>>().join("\n")
    }
}

/// Entries that are held against the files, the newest: those before them were there before a trial began.
const ENTRIES_HELD: u64 = 3;

/// Returns what the newest entries of the ledger name and is not there: documents, versions of tables, files of versions.
async fn lost(engine: &Engine) -> Vec<String> {
    let (lake, mut lost, mut known) = (engine.warehouse(), Vec::new(), BTreeSet::new());
    let newest = engine.newest_entry().await.expect("it can be read").map_or(0, |newest| newest.number);
    for number in newest.saturating_sub(ENTRIES_HELD - 1).. {
        let Some(document) = engine.ledger().read(number).await.expect("it can be read") else { break };
        let entry: Entry = serde_json::from_slice(&document).expect("an entry");
        let mut tables =
            Vec::from_iter(entry.state.restatements.map(|version| (OWN_FOLDER, RESTATEMENTS.to_owned(), version)));
        for (metric, table) in entry.state.tables {
            for hash in table.bases.iter().flat_map(|basis| [&basis.inputs, &basis.sql, &basis.settings]) {
                if known.insert(hash.clone()) && lake.kept("_topline/inputs", hash).await.ok().flatten().is_none() {
                    lost.push(format!("entry {number}: document {hash}"));
                }
            }
            tables.push((PUBLISHED, metric, table.version));
        }
        for (schema, name, version) in tables {
            if !known.insert(format!("{schema}.{name} {version}")) {
                continue;
            }
            let found = lake.table(schema, &name).expect("a table").at(version).await.ok().flatten();
            let Some(found) = found else {
                lost.push(format!("entry {number}: {schema}.{name} {version}"));
                continue;
            };
            for path in found.paths() {
                let place = Path::from(format!("{schema}/{name}/{path}"));
                if lake.store().head(&place).await.is_err() {
                    lost.push(format!("entry {number}: {place}"));
                }
            }
        }
    }
    lost
}

/// Returns an entry without what differs from run to run: the numbers of entries are counted without those of failed
/// runs, and versions of tables are not told.
fn plain(entry: &Value, places: &BTreeMap<u64, usize>) -> Value {
    let place = |number: &Value| {
        number.as_u64().and_then(|number| places.get(&number)).map_or(Value::Null, |&place| json!(place))
    };
    let mut state = entry["state"].clone();
    for table in state["tables"].as_object_mut().expect("tables").values_mut() {
        table["version"].take();
        for month in table["months"].as_object_mut().expect("months").values_mut() {
            month["entry"] = place(&month["entry"]);
        }
    }
    for number in state["closed"].as_object_mut().expect("months").values_mut() {
        *number = place(number);
    }
    state["restatements"] = json!(state["restatements"].is_number());
    json!({ "event": entry["event"], "state": state })
}
