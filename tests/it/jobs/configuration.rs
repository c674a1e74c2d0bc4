//! What may be wrong with `[[jobs]]` and `[notify]`.

use topline::engine::Engine;
use topline::jobs::Scheduler;

use super::Shop;
use crate::project::{Project, assert_says};

#[test]
fn every_slip_of_jobs_and_channels_is_named_at_once() {
    let project = Project::new();
    project.text(
        "topline.toml",
        r#"
[sources.crm]
connector = "canonical"
location = "crm"

[[jobs]]
name = "Nightly"

[[jobs]]
name = "nightly"
cron = "0 25 * * *"
zone = "Mars/Olympus"
month = "due"
months = "last 0"
policy = "lates"
retries = 99
deadline = "soon"
notify = ["slack", "slak"]

[[jobs]]
cron = "0 0 31 2 *"

[[jobs]]
name = "twice"
metrics = "nrr"

[[jobs]]
name = "twice"

[notify.slack]
webhook = "http://example.com/hook"
on = ["hold"]
restated_above = -1

[notify.pager]
comand = ["page"]

[notify.mail]
command = "mail ops"

[notify.page]
command = ["page"]
token_env = "TOKEN"
"#,
    );
    let error = project.config(&[]).expect_err("it is wrong");
    assert_says(
        &project.described(&error),
        r#"Config: the configuration is wrong: 20 problems
  DIR/topline.toml: [notify.mail] command: expected a list of a program and its arguments, found "mail ops"; hint: no shell reads it
  DIR/topline.toml: [notify.page]: key token_env goes with a webhook, and this is a command
  DIR/topline.toml: unknown key "comand" in [notify.pager]; hint: did you mean "command"?
  DIR/topline.toml: [notify.pager]: expected one of the keys webhook, webhook_env and command
  DIR/topline.toml: unknown news "hold" in [notify.slack] on; hint: did you mean "held"?
  DIR/topline.toml: [notify.slack] restated_above: expected a share such as 0.01, found integer -1
  DIR/topline.toml: [notify.slack] webhook: expected an https:// URL, found "http://example.com/hook"; hint: a secret one stands in a variable that webhook_env names
  DIR/topline.toml: [[jobs]] 1 name: a job's name has small letters, digits, - and _ only, found "Nightly"
  DIR/topline.toml: unknown key "month" in [[jobs]] nightly; hint: did you mean "months"?
  DIR/topline.toml: [[jobs]] nightly zone: expected an IANA time zone such as Europe/Berlin, found "Mars/Olympus"
  DIR/topline.toml: [[jobs]] nightly cron: expected a cron pattern of five fields such as "30 6 * * mon-fri", found "0 25 * * *": number out of bounds
  DIR/topline.toml: unknown channel "slak" in [[jobs]] nightly notify; hint: did you mean "slack"?
  DIR/topline.toml: [[jobs]] nightly months: expected due, open, or last N with N from 1 to 120, found "last 0"
  DIR/topline.toml: [[jobs]] nightly policy: expected latest, all or skip, found "lates"
  DIR/topline.toml: [[jobs]] nightly retries: expected a whole number from 0 to 24, found integer 99
  DIR/topline.toml: [[jobs]] nightly deadline: expected a time up to a day such as "30 min" or "2 h", found "soon"
  DIR/topline.toml: [[jobs]] 3: key "name" is missing
  DIR/topline.toml: [[jobs]] 3 cron: cron pattern "0 0 31 2 *" never comes
  DIR/topline.toml: [[jobs]] twice metrics: expected a list of names, found "nrr"
  DIR/topline.toml: [[jobs]]: two jobs are called "twice""#,
    );
}

#[tokio::test]
async fn every_metric_and_tag_that_is_not_known_is_named_at_once() {
    let jobs = "[[jobs]]\nname = \"a\"\nmetrics = [\"nrrr\", \"paid\"]\n\n[[jobs]]\nname = \"b\"\ntags = [\"weakly\", \
                \"nobody\"]\n";
    let shop = Shop::new(jobs, "2026-01-01T00:00:00Z");
    let engine: Engine = shop.engine().await;
    let error = Scheduler::open(engine).expect_err("it is wrong");
    assert_says(
        &shop.project.described(&error),
        r#"Config: the configuration is wrong: 3 problems
  DIR/topline.toml: [[jobs]] a metrics: there is no "nrrr"; hint: did you mean "nrr"?
  DIR/topline.toml: [[jobs]] b tags: there is no "weakly"; hint: did you mean "weekly"?
  DIR/topline.toml: [[jobs]] b tags: there is no "nobody"; hint: a tag is a cadence or an owner of meta.metrics"#,
    );
}

#[tokio::test]
async fn the_zone_of_a_job_is_the_reporting_zone_where_it_names_none() {
    let jobs = "[reporting]\ntimezone = \"Europe/Berlin\"\n\n[[jobs]]\nname = \"a\"\ncron = \"0 2 * * *\"\n";
    let shop = Shop::new(jobs, "2026-01-01T00:00:00Z");
    let standings = shop.scheduler().await.standings().await;
    assert_eq!((standings[0].state, standings[0].zone.as_deref()), ("new", Some("Europe/Berlin")));
}
