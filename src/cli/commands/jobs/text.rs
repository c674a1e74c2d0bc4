//! Jobs and their ticks for people.

use chrono::{DateTime, SecondsFormat};

use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;
use crate::jobs::{Outcome, Settled, Standing, TickRecord};

/// Returns an instant as it is written everywhere: in UTC.
pub(super) fn instant(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns an instant to the second: nobody reads further.
fn to_the_second(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns a line for each job.
pub(super) fn standings(standings: &[Standing], terminal: &Terminal) -> String {
    if standings.is_empty() {
        return "no job is configured: add a [[jobs]] section\n".to_owned();
    }
    let head = [
        ("job", Lean::Left),
        ("state", Lean::Left),
        ("next", Lean::Left),
        ("last", Lean::Left),
        ("ended", Lean::Left),
        ("dead", Lean::Right),
        ("cron", Lean::Left),
        ("zone", Lean::Left),
        ("metrics", Lean::Left),
    ];
    let row = |standing: &Standing| {
        let last = standing.last.as_ref();
        let ended = last.map(|last| format!("{} {}", last.outcome.name(), to_the_second(last.ended_at)));
        vec![
            standing.job.clone(),
            standing.state.to_owned(),
            standing.next.map(to_the_second).unwrap_or_default(),
            last.map(|last| to_the_second(last.tick)).unwrap_or_default(),
            ended.unwrap_or_default(),
            standing.dead.to_string(),
            standing.cron.clone().unwrap_or_default(),
            standing.zone.clone().unwrap_or_default(),
            standing.metrics.clone(),
        ]
    };
    listing(terminal, &head, standings.iter().map(row).collect(), Overflow::Cut)
}

/// Returns a line for each tick.
pub(super) fn history(records: &[TickRecord], terminal: &Terminal) -> String {
    if records.is_empty() {
        return "no tick came to its end yet\n".to_owned();
    }
    let head = [
        ("job", Lean::Left),
        ("tick", Lean::Left),
        ("state", Lean::Left),
        ("ended", Lean::Left),
        ("attempts", Lean::Right),
        ("version", Lean::Right),
        ("restatements", Lean::Right),
        ("months", Lean::Left),
        ("why", Lean::Left),
    ];
    let row = |record: &TickRecord| {
        let state = match record.ticks {
            1 => record.state.to_owned(),
            many => format!("{many} {}", record.state),
        };
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        vec![
            record.job.clone(),
            to_the_second(record.tick),
            state,
            to_the_second(record.ended_at),
            record.attempts.to_string(),
            number(record.version),
            number(record.restatements),
            record.months.clone().unwrap_or_default(),
            record.why.clone().unwrap_or_default(),
        ]
    };
    listing(terminal, &head, records.iter().map(row).collect(), Overflow::Cut)
}

/// Returns a line for each tick that came to its end; where there is none, when the job is due next.
pub(super) fn settled(settled: &[Settled], next: Option<i64>, terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let mut text = String::new();
    for settled in settled {
        let word = match settled.outcome {
            Outcome::Done => style.good("done:"),
            Outcome::Held => style.alarm("held:"),
            Outcome::Dead => style.alarm("dead:"),
        };
        let what = match (&settled.why, settled.version) {
            (Some(why), _) => why.clone(),
            (None, Some(version)) => {
                format!("version {version}, {} restated", counted(settled.restatements, "number"))
            }
            (None, None) => "nothing to publish".to_owned(),
        };
        text.push_str(&format!("{word} tick {}, {what}\n", to_the_second(settled.tick)));
    }
    if settled.is_empty() {
        let next = next.map_or_else(String::new, |next| format!("; the next tick is {}", to_the_second(next)));
        text = format!("nothing is owed{next}\n");
    }
    text
}
