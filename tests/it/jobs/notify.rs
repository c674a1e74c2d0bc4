//! What channels are told, and that nothing of it is lost.

use std::array::from_fn;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::watch;
use topline::domain::clock::Clock;
use topline::engine::Engine;
use topline::jobs::Scheduler;
use topline::{ErrorKind, Result};

use super::{Shop, request, rows};
use crate::company;
use crate::project::{Table, cents, instants, texts};

const DAILY: &str = "[[jobs]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nmetrics = [\"paid\"]\nretries = 0\nnotify = \
                     [\"hook\"]\n\n[notify.hook]\nwebhook_env = \"HOOK\"\ntoken_env = \"TOKEN\"\n";

/// A webhook that takes down what it is told, and answers what it is told to.
#[derive(Clone)]
struct Hook {
    told: Arc<Mutex<Vec<(Value, String)>>>,
    answer: Arc<Mutex<StatusCode>>,
    /// How often it was called.
    calls: Arc<watch::Sender<u32>>,
    url: String,
}

impl Hook {
    async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/secret-path", listener.local_addr().expect("it is bound"));
        let hook =
            Self { told: Arc::default(), answer: Arc::new(Mutex::new(StatusCode::OK)), calls: Arc::default(), url };
        let router =
            Router::new().route("/secret-path", post(take)).route("/slow", post(answer_late)).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hook
    }

    fn answer(&self, status: StatusCode) {
        *self.answer.lock().expect("no panic") = status;
    }

    /// Returns the news that were told since the last time: `held daily`.
    fn told(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().expect("no panic"));
        assert!(told.iter().all(|(_, token)| token == "Bearer hush"), "{told:?}");
        told.iter().map(|(body, _)| format!("{} {}", word(body, "news"), word(body, "job"))).collect()
    }

    fn texts(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().expect("no panic"));
        told.iter().map(|(body, _)| word(body, "text").to_owned()).collect()
    }

    async fn scheduler(&self, shop: &Shop) -> Result<Scheduler> {
        let config = shop.project.config(&[("HOOK", self.url.as_str()), ("TOKEN", "hush")])?;
        let engine = Engine::open_at(config, Clock::Moved(shop.clock)).await?;
        Scheduler::open(engine)
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    let token = headers.get("authorization").and_then(|token| token.to_str().ok()).unwrap_or_default();
    let answer = *hook.answer.lock().expect("no panic");
    hook.calls.send_modify(|calls| *calls += 1);
    if answer.is_success() {
        hook.told.lock().expect("no panic").push((body, token.to_owned()));
    }
    answer
}

/// Answers once the other route was called.
async fn answer_late(State(hook): State<Hook>) -> StatusCode {
    drop(hook.calls.subscribe().wait_for(|calls| *calls > 0).await);
    StatusCode::OK
}

fn word<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or_default()
}

/// Does what is due at an instant, and delivers what there is to tell.
async fn tick(scheduler: &Scheduler, shop: &Shop, now: &str) {
    shop.go_to(now);
    scheduler.run_due().await;
    scheduler.deliver().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_each_turn_once() {
    let (hook, shop) = (Hook::listen().await, Shop::new(DAILY, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    scheduler.require_channels().expect("both variables are set");
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    assert!(hook.told().is_empty(), "that all is well is no news");

    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    tick(&scheduler, &shop, "2026-01-02T02:00:00Z").await;
    scheduler.deliver().await;
    let told = hook.texts();
    assert_eq!(
        told,
        ["topline: job daily was held, and nothing was published: nobody_pays_a_thousand of paid is broken\n\
          • month = 2025-12-01, paid = 5000.00"]
    );

    shop.project.bytes("billing/payments/p2.parquet", b"PAR1");
    tick(&scheduler, &shop, "2026-01-03T02:00:00Z").await;
    let told = hook.texts();
    assert!(told[0].starts_with("topline: job daily was given up after 1 attempt: billing/payments/p2"), "{told:?}");
    assert!(told[0].ends_with("; topline jobs run daily --again runs it again"), "{told:?}");

    shop.project.remove("billing/payments/p2.parquet");
    tick(&scheduler, &shop, "2026-01-04T02:00:00Z").await;
    assert_eq!(hook.texts(), ["topline: job daily does its work again: the tick before it was dead"]);

    shop.pay("p3", "2025-11-20T10:00:00Z", 5_000);
    tick(&scheduler, &shop, "2026-01-05T02:00:00Z").await;
    assert_eq!(
        hook.texts(),
        ["topline: job daily restated 1 published number, version 3\n\
          • paid 2025-11-01, paid: 100.00 → 150.00 (50.00 %), late data, as_of"]
    );
    tick(&scheduler, &shop, "2026-01-06T02:00:00Z").await;
    assert!(hook.told().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_moved_less_than_the_threshold_is_not_told() {
    let jobs = format!("{DAILY}restated_above = 0.5\non = [\"restated\"]\n");
    let (hook, shop) = (Hook::listen().await, Shop::new(&jobs, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    shop.pay("p2", "2025-11-20T10:00:00Z", 5_000);
    tick(&scheduler, &shop, "2026-01-02T02:00:00Z").await;
    assert!(hook.told().is_empty(), "it moved by half");
    shop.pay("p3", "2025-11-21T10:00:00Z", 9_000);
    tick(&scheduler, &shop, "2026-01-03T02:00:00Z").await;
    assert_eq!(hook.told(), ["restated daily"], "it moved by six tenths");
}

/// Names of customers are no markup, and a thousand numbers are not all there are.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_is_called_is_text_and_a_count_is_no_more_than_what_was_counted() {
    let jobs = DAILY.replace("paid", "paid_by");
    let (hook, shop) = (Hook::listen().await, Shop::new(&jobs, "2026-01-01T00:00:00Z"));
    let sql = "select local_month(paid_at) as month, customer_id, cast(sum(amount) as decimal(18, 2)) as paid, true as \
               is_complete from billing.payments group by local_month(paid_at), customer_id\n";
    let sidecar = "description = \"By customer.\"\ngrain = \"month and customer\"\nkey = [\"month\", \
                   \"customer_id\"]\nperiod = \"month\"\ncolumns = [[\"month\", \"date\", \"month\"], \
                   [\"customer_id\", \"text\", \"customer\"], [\"paid\", \"money\", \"payments\"], \
                   [\"is_complete\", \"flag\", \"always\"]]\n";
    shop.project.text("models/metrics/paid_by.sql", sql);
    shop.project.text("models/metrics/paid_by.toml", sidecar);
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    let names: [String; 1_001] = from_fn(|number| format!("<!channel> & {number:04}"));
    let of_each: [&str; 1_001] = from_fn(|number| names[number].as_str());
    let table = Table::new()
        .with("payment_id", texts(of_each))
        .with("customer_id", texts(of_each))
        .with("status", texts(["succeeded"; 1_001]))
        .with("currency", texts(["USD"; 1_001]))
        .with("paid_at", instants(["2025-11-20T10:00:00Z"; 1_001]))
        .with("amount", cents([100; 1_001]));
    shop.project.parquet("billing/payments/many.parquet", &table);
    tick(&scheduler, &shop, "2026-01-02T02:00:00Z").await;
    let text = hook.texts().pop().expect("they are told");
    assert!(text.starts_with("topline: job daily restated at least 1000 published numbers, version 1\n"), "{text}");
    assert!(text.contains("paid_by 2025-11-01 ") && text.contains("&lt;!channel&gt; &amp; 0000"), "{text}");
    assert!(!text.contains("<!channel>") && text.ends_with("\n• and 990 more"), "{text}");
}

/// A run that dies between the entry of the ledger and that of the journal.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_restated_is_told_although_it_died_before_it_said_so() {
    let jobs = DAILY.replace("retries = 0", "retries = 1");
    let (hook, shop) = (Hook::listen().await, Shop::new(&jobs, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    // What somebody else publishes is none of the job's.
    shop.pay("p2", "2025-11-20T10:00:00Z", 1_000);
    topline::publish::materialize(&shop.engine().await, &request(), &|_| {}).await.expect("it publishes");
    shop.pay("p3", "2025-11-20T10:00:00Z", 4_000);
    shop.go_to("2026-01-02T02:00:00Z");
    shop.abandon_after_publishing(hook.scheduler(&shop).await.expect("it opens"), 2).await;
    assert!(hook.told().is_empty());
    tick(&scheduler, &shop, "2026-01-02T02:01:01Z").await;
    assert_eq!(
        hook.texts(),
        ["topline: job daily restated 1 published number, version 2\n\
          • paid 2025-11-01, paid: 110.00 → 150.00 (36.36 %), late data, as_of"]
    );
    let last = scheduler.standings().await[0].last.clone().expect("it ran");
    assert_eq!((last.attempts, last.version, last.restatements), (2, Some(2), 1));
    tick(&scheduler, &shop, "2026-01-03T02:00:00Z").await;
    assert!(hook.told().is_empty(), "it is told once");
}

/// The same, of a tick that is given up since its processes die: the next tick tells.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_tick_restated_that_was_given_up_is_told_by_the_next_one() {
    let (hook, shop) = (Hook::listen().await, Shop::new(DAILY, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    shop.pay("p2", "2025-11-20T10:00:00Z", 5_000);
    shop.go_to("2026-01-02T02:00:00Z");
    shop.abandon_after_publishing(hook.scheduler(&shop).await.expect("it opens"), 1).await;
    tick(&scheduler, &shop, "2026-01-02T02:01:01Z").await;
    assert_eq!(hook.told(), ["failed daily"]);
    tick(&scheduler, &shop, "2026-01-03T02:00:00Z").await;
    assert_eq!(hook.told(), ["restated daily", "recovered daily"]);
}

/// The receiver is down, then the process that wrote the letter dies: the next one delivers it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_outlives_its_receiver_s_failures_and_its_writer() {
    let (hook, shop) = (Hook::listen().await, Shop::new(DAILY, "2026-01-01T00:00:00Z"));
    let writer = hook.scheduler(&shop).await.expect("it opens");
    tick(&writer, &shop, "2026-01-01T00:00:00Z").await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    hook.answer(StatusCode::SERVICE_UNAVAILABLE);
    tick(&writer, &shop, "2026-01-01T02:00:00Z").await;
    let standing = &writer.standings().await[0];
    assert_eq!((standing.state, standing.undelivered), ("held", 1), "the run is taken down all the same");
    let next = writer.deliver().await.expect("it is tried again");
    drop(writer);

    hook.answer(StatusCode::OK);
    let heir = hook.scheduler(&shop).await.expect("it opens");
    shop.set(next);
    let since = heir.deliver().await.expect("it is still another's");
    assert!(hook.told().is_empty());
    shop.set(since);
    heir.deliver().await;
    assert_eq!(hook.told(), ["held daily"]);
    assert_eq!(heir.standings().await[0].undelivered, 0);
    heir.deliver().await;
    assert!(hook.told().is_empty(), "it is told once");
}

/// A receiver that is not there is called once for all that waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_behind_the_first_that_cannot_be_delivered_and_all_arrive() {
    let (hook, shop) = (Hook::listen().await, Shop::new(DAILY, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    scheduler.run_due().await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    shop.go_to("2026-01-01T02:00:00Z");
    scheduler.run_due().await;
    shop.project.remove("billing/payments/p2.parquet");
    shop.go_to("2026-01-02T02:00:00Z");
    scheduler.run_due().await;
    hook.answer(StatusCode::SERVICE_UNAVAILABLE);
    for calls in 1..=3 {
        let next = scheduler.deliver().await.expect("it is tried again");
        assert_eq!(*hook.calls.borrow(), calls);
        assert_eq!(scheduler.standings().await[0].undelivered, 2);
        shop.set(next);
    }
    hook.answer(StatusCode::OK);
    while let Some(next) = scheduler.deliver().await {
        shop.set(next);
    }
    let mut told = hook.told();
    told.sort();
    assert_eq!(told, ["held daily", "recovered daily"]);
}

/// What comes in while a receiver is not there waits for the end of the pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_not_tried_with_each_letter() {
    let jobs = DAILY.replace("0 2 * * *", "* * * * *");
    let (hook, shop) = (Hook::listen().await, Shop::new(&jobs, "2026-01-01T00:00:00Z"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    scheduler.run_due().await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    hook.answer(StatusCode::NOT_FOUND);
    tick(&scheduler, &shop, "2026-01-01T00:01:59Z").await;
    tick(&scheduler, &shop, "2026-01-01T00:02:00Z").await;
    assert_eq!((*hook.calls.borrow(), scheduler.standings().await[0].undelivered), (1, 2));
    tick(&scheduler, &shop, "2026-01-01T00:02:10Z").await;
    assert_eq!(*hook.calls.borrow(), 2, "the first pause is ten seconds at most");
    hook.answer(StatusCode::OK);
    tick(&scheduler, &shop, "2026-01-01T00:02:31Z").await;
    assert_eq!(hook.told(), ["held daily", "held daily"]);
}

/// One receiver answers once the other has its letter: if it were waited for first, it would not answer in time.
#[tokio::test(flavor = "multi_thread")]
async fn no_channel_waits_for_another() {
    let jobs = DAILY.replace("[\"hook\"]", "[\"a_slow_one\", \"hook\"]");
    let hook = Hook::listen().await;
    let slow = format!("\n[notify.a_slow_one]\nwebhook = \"{}\"\n", hook.url.replace("secret-path", "slow"));
    let shop = Shop::new(&format!("{jobs}{slow}"), "2026-01-01T00:00:00Z");
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    scheduler.run_due().await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    assert_eq!(hook.told(), ["held daily"]);
    assert_eq!(scheduler.standings().await[0].undelivered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_the_news_from_its_standard_input() {
    let jobs = "[[jobs]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nmetrics = [\"paid\"]\nnotify = [\"file\"]\n\n\
                [notify.file]\ncommand = [\"tee\", \"PLACE\"]\n";
    let shop = Shop::new(jobs, "2026-01-01T00:00:00Z");
    let place = shop.project.path("told.json");
    let configuration = std::fs::read_to_string(shop.project.path("topline.toml")).expect("it is there");
    shop.project.text("topline.toml", &configuration.replace("PLACE", &place.display().to_string()));
    let scheduler = shop.scheduler().await;
    tick(&scheduler, &shop, "2026-01-01T00:00:00Z").await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    tick(&scheduler, &shop, "2026-01-01T02:00:00Z").await;
    let told: Value = serde_json::from_slice(&std::fs::read(place).expect("it was written")).expect("JSON");
    assert_eq!((word(&told, "news"), word(&told, "tick")), ("held", "2026-01-01T02:00:00Z"));
    assert_eq!(told["details"][0]["law"], "nobody_pays_a_thousand");
}

/// Returns a shop with a whole company, one of whose metrics is off target, and whose job publishes these metrics.
fn shop_off_target(metrics: &str) -> Shop {
    let jobs = format!(
        "{}on = [\"off_target\"]\n\n[metrics.arpa]\nowner = \"ann\"\ntarget = 1000000\naction_plan = \"call them\"\n",
        DAILY.replace("[\"paid\"]", metrics)
    );
    let shop = Shop::new(&jobs, "2026-04-01T00:00:00Z");
    let configuration = std::fs::read_to_string(shop.project.path("topline.toml")).expect("it is there");
    company::lay_out(&shop.project);
    let (_, rest) = configuration.split_once("[warehouse]").expect("it has one");
    shop.project.text("topline.toml", &format!("{}\n[warehouse]{rest}", company::CONFIGURATION));
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_target_is_told_by_the_next_run_where_it_could_not_be_found_out() {
    let (hook, shop) = (Hook::listen().await, shop_off_target("[\"paid\"]"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-04-01T00:00:00Z").await;
    // Of a table that the job's metric does not read, and a scorecard does.
    let place = "crm/opportunities.parquet";
    let right = std::fs::read(shop.project.path(place)).expect("it is there");
    shop.project.bytes(place, b"PAR1");
    tick(&scheduler, &shop, "2026-04-01T02:00:00Z").await;
    let last = async || scheduler.standings().await[0].last.clone().expect("it ran");
    assert_eq!((last().await.outcome.name(), last().await.version, hook.told()), ("done", Some(0), Vec::new()));
    shop.project.bytes(place, &right);
    tick(&scheduler, &shop, "2026-04-02T02:00:00Z").await;
    assert_eq!((last().await.version, hook.told()), (None, vec!["off_target daily".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_target_is_told_once_a_period_with_owner_and_plan() {
    let (hook, shop) = (Hook::listen().await, shop_off_target("[\"arpa\", \"paid\"]"));
    let scheduler = hook.scheduler(&shop).await.expect("it opens");
    tick(&scheduler, &shop, "2026-04-01T00:00:00Z").await;
    tick(&scheduler, &shop, "2026-04-01T02:00:00Z").await;
    let told = hook.texts();
    assert!(told.len() == 1 && told[0].starts_with("topline: job daily found "), "{told:?}");
    assert!(told[0].contains("arpa 2026-03-01: ") && told[0].contains("owner ann: call them"), "{told:?}");
    shop.pay("p2", "2025-11-20T10:00:00Z", 5_000);
    tick(&scheduler, &shop, "2026-04-02T02:00:00Z").await;
    let last = scheduler.standings().await[0].last.clone().expect("it ran");
    assert_eq!((last.version, hook.told()), (Some(1), Vec::new()), "it was looked at again, and nothing was new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_not_set_is_named_and_what_one_holds_is_not_shown() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let error = shop.scheduler().await.require_channels().expect_err("nothing is set");
    assert_eq!(error.kind(), ErrorKind::Config);
    for variable in ["HOOK", "TOKEN"] {
        let problem = format!("[notify.hook]: environment variable \"{variable}\" is not set");
        assert!(error.message().contains(&problem), "{error}");
    }
    let variables = [("HOOK", "ftp://user:password@example.com"), ("TOKEN", "hush")];
    let config = shop.project.config(&variables).expect("it is read");
    assert!(!format!("{config:?}").contains("password") && !format!("{config:?}").contains("hush"));
    let engine = Engine::open_at(config, Clock::Moved(shop.clock)).await.expect("it opens");
    let error = Scheduler::open(engine.clone()).expect("it opens").require_channels().expect_err("it is no URL");
    assert_eq!(error.message(), "[notify.hook]: what environment variable \"HOOK\" holds is no https:// URL");
    assert!(rows(&engine, "select count(*) from meta.runs").await == ["0"]);
}
