//! `topline verify`: whether what is published is what was published, and what it should be.

use serde::Serialize;

use crate::cli::arguments::{TextFormat, VerifyArguments};
use crate::cli::output::json::document;
use crate::cli::output::progress::bar;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::error::Result;
use crate::publish::{Finding, Step, Verdict, verify};

/// What was found, as JSON has it.
#[derive(Serialize)]
struct Findings<'finding> {
    is_right: bool,
    months: Vec<OfMonth<'finding>>,
}

#[derive(Serialize)]
struct OfMonth<'finding> {
    metric: &'finding str,
    month: &'finding str,
    /// `same`, `kept` or `different`.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'finding str>,
}

/// Verifies published months.
///
/// # Errors
/// `NotFound` where nothing that was asked for is published.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &VerifyArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let bar = bar(terminal, "metrics");
    let found = verify(engine, &arguments.metrics, arguments.month, &|step| {
        if let Step::Computing(_, place, count) = step {
            bar.set_length(count as u64);
            bar.set_position(place as u64);
        }
    })
    .await;
    bar.finish_and_clear();
    let found = found?;
    let months: Vec<OfMonth<'_>> = found.iter().map(of_month).collect();
    let is_right = !months.iter().any(|month| month.verdict == "different");
    let text = match arguments.format {
        TextFormat::Text => text(&months, terminal),
        TextFormat::Json => document(&Findings { is_right, months })?,
    };
    terminal.print(&text)?;
    Ok(if is_right { Ending::Done } else { Ending::ProblemsFound })
}

fn of_month(finding: &Finding) -> OfMonth<'_> {
    let (verdict, why) = match &finding.verdict {
        Verdict::Same => ("same", None),
        Verdict::Kept(why) => ("kept", Some(why.as_str())),
        Verdict::Different(why) => ("different", Some(why.as_str())),
    };
    OfMonth { metric: &finding.metric, month: &finding.month, verdict, why }
}

fn text(months: &[OfMonth<'_>], terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let mut text = String::new();
    for month in months.iter().filter(|month| month.verdict == "different") {
        let why = month.why.unwrap_or_default();
        text.push_str(&format!("{} {} {}: {why}\n", style.alarm("different:"), month.metric, month.month));
    }
    let mut said: Vec<&str> = Vec::new();
    for month in months.iter().filter(|month| month.verdict == "kept") {
        let why = month.why.unwrap_or_default();
        // One file that is gone is the same for all months of many metrics.
        if !said.contains(&why) {
            said.push(why);
            text.push_str(&format!("{} {}: {why}\n", style.caution("not computed again:"), month.metric));
        }
    }
    let count = |verdict: &str| months.iter().filter(|month| month.verdict == verdict).count() as u64;
    text.push_str(&format!(
        "{} are what computing them again gives, {} hold what was published, {} differ\n",
        counted(count("same"), "month"),
        counted(count("kept"), "more month"),
        counted(count("different"), "month"),
    ));
    text
}
