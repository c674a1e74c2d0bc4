//! `topline jobs watch`: a line for each job, and how far it is.

use std::time::Duration;

use chrono::TimeDelta;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::instant;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{Scheduler, Standing};

/// How often is looked: as often as a person sees a difference, and seldom enough for an object store.
const LOOK: Duration = Duration::from_secs(1);

/// The line of a job that runs.
const RUNNING: &str = "{prefix} {wide_bar} {msg}";

/// The line of any other.
const AT_REST: &str = "{prefix} {wide_msg}";

/// Shows how the jobs stand until a signal ends it.
///
/// # Errors
/// `Argument` where nobody can see it.
pub(super) async fn run(scheduler: &Scheduler, terminal: &Terminal) -> Result<Ending, Stop> {
    if !terminal.err.is_terminal {
        return Err(Error::new(ErrorKind::Argument, "jobs are watched in a terminal, and there is none")
            .with_hint("programs read topline jobs list --format json")
            .into());
    }
    let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let mut bars: Vec<ProgressBar> = Vec::new();
    loop {
        let standings = scheduler.standings().await;
        let width = standings.iter().map(|standing| standing.job.len()).max().unwrap_or(0);
        while bars.len() < standings.len() {
            bars.push(lines.add(ProgressBar::new(1).with_style(style(AT_REST))));
        }
        for (bar, standing) in bars.iter().zip(&standings) {
            show(bar, standing, width, scheduler.now_micros());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn show(bar: &ProgressBar, standing: &Standing, width: usize, now: i64) {
    let prefix = format!("{:width$}  {:8}", standing.job, standing.state);
    bar.set_prefix(prefix);
    match standing.running.filter(|_| standing.state == "running") {
        Some((since, done, all)) => {
            bar.set_style(style(RUNNING));
            bar.set_length(all.max(1));
            bar.set_position(done);
            bar.set_message(format!("{done} of {all} metrics, {}", span(now - since)));
        }
        None => {
            bar.set_style(style(AT_REST));
            bar.set_message(rest(standing, now));
        }
    }
    bar.tick();
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn rest(standing: &Standing, now: i64) -> String {
    if let Some(problem) = &standing.problem {
        return problem.to_string();
    }
    let last = standing.last.as_ref().map(|last| {
        let why = last.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        format!("{} {} ago{why}", last.outcome.name(), span(now - last.ended_at))
    });
    let next = standing.next.map(|next| match next > now {
        true => format!("next in {} ({})", span(next - now), instant(next)),
        false => format!("owed since {}", instant(next)),
    });
    [next, last].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns a time in its two largest units: `2 d 3 h`.
fn span(micros: i64) -> String {
    let time = TimeDelta::microseconds(micros.max(0));
    match (time.num_days(), time.num_hours() % 24, time.num_minutes() % 60, time.num_seconds() % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_two_largest_units() {
        let shown = [0, 59, 60, 3_599, 3_600, 90_000].map(|seconds| span(seconds * 1_000_000));
        assert_eq!(shown, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h"]);
        assert_eq!(span(-1), "0 s");
    }
}
