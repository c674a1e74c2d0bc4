//! `topline diff`: which rows of which metrics two configurations or model folders see differently.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::catalog::TableId;
use crate::cli::arguments::{DiffArguments, TextFormat};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::output::numbers::grouped;
use crate::cli::output::progress::Spinner;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::{Config, Environment};
use crate::domain::clock::Clock;
use crate::domain::names::{counted, nearest};
use crate::engine::Engine;
use crate::engine::comparison::{Cell, Difference, compare};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::SCHEMA;

/// Places of a sum of differences: cents.
const PLACES: usize = 2;

/// All that differs.
#[derive(Serialize)]
struct Differences {
    before: String,
    after: String,
    metrics: Vec<OfMetric>,
}

/// What differs in one view.
#[derive(Serialize)]
struct OfMetric {
    metric: String,
    rows_before: u64,
    rows_after: u64,
    added: u64,
    removed: u64,
    changed: u64,
    columns_added: Vec<String>,
    columns_removed: Vec<String>,
    periods: BTreeSet<String>,
    columns: Vec<OfColumn>,
    first: Vec<First>,
    /// Why it was not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
struct OfColumn {
    column: String,
    rows: u64,
    sum_of_differences: Option<f64>,
}

#[derive(Serialize)]
struct First {
    key: Key,
    change: &'static str,
    column: Option<String>,
    before: Option<String>,
    after: Option<String>,
    difference: Option<f64>,
}

/// The columns of a key with their values, written in the order of the key.
struct Key(Vec<(String, Option<String>)>);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Compares metrics of two configurations.
///
/// # Errors
/// `NotFound` with every metric that neither side has, and whatever opening either side and running its queries gives.
pub(in crate::cli) async fn run(
    config: Config,
    arguments: &DiffArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let mut config = config;
    let mut other = other_config(&config, &arguments.against)?;
    // Both run at once, within what one may use.
    config.limits.memory_bytes /= 2;
    other.limits.memory_bytes /= 2;
    let clock = Clock::Fixed(Clock::System.now_micros());
    let (name_before, name_after) = (name_of(&config), name_of(&other));
    let before = Engine::open_at(config, clock).await?;
    let after = Engine::open_at(other, clock).await?;
    let views = views(&before, &after, &arguments.metrics)?;
    let spinner = Spinner::start(terminal, "comparing");
    let mut metrics = Vec::new();
    for (view, sides) in views {
        spinner.say(view.clone());
        metrics.push(of_metric(&before, &after, view, sides, arguments.limit as usize).await?);
    }
    drop(spinner);
    let differences = Differences { before: name_before, after: name_after, metrics };
    let text = match arguments.format {
        TextFormat::Json => document(&differences)?,
        TextFormat::Text => text(&differences, terminal),
    };
    terminal.print(&text)?;
    Ok(Ending::Done)
}

fn other_config(config: &Config, against: &Path) -> Result<Config> {
    if against.is_dir() {
        return Ok(Config { models: Some(against.to_path_buf()), ..config.clone() });
    }
    if !against.exists() {
        return Err(Error::new(ErrorKind::Argument, format!("--against \"{}\" does not exist", against.display()))
            .with_hint("name a configuration file or a folder of models"));
    }
    Config::load(Some(against), &Environment::of_process())
}

fn name_of(config: &Config) -> String {
    let file = config.file.as_ref().map_or_else(|| "the sample".to_owned(), |file| file.display().to_string());
    match &config.models {
        Some(models) => format!("{file}, models of {}", models.display()),
        None => format!("{file}, built-in models"),
    }
}

/// On which sides a view is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Both,
    Before,
    After,
}

/// Returns the views to compare, in the order of their names.
fn views(before: &Engine, after: &Engine, wanted: &[String]) -> Result<Vec<(String, Sides)>> {
    let names = |engine: &Engine| -> BTreeSet<String> {
        let views = engine.models().iter().filter(|model| model.id.schema == SCHEMA);
        views.map(|model| model.id.name.clone()).collect()
    };
    let (of_before, of_after) = (names(before), names(after));
    let all: BTreeSet<&String> = of_before.union(&of_after).collect();
    let mut problems = Vec::new();
    for name in wanted.iter().filter(|name| !all.contains(name)) {
        let hint = nearest(name, all.iter().map(|name| name.as_str()))
            .map_or_else(String::new, |near| format!("; hint: did you mean \"{near}\"?"));
        problems.push(format!("view \"metrics.{name}\" is on neither side{hint}"));
    }
    if let Some(error) = Error::list(ErrorKind::NotFound, "metrics that do not exist", problems) {
        return Err(error);
    }
    let is_wanted = |name: &&String| wanted.is_empty() || wanted.contains(*name);
    let sides = |name: &String| match (of_before.contains(name), of_after.contains(name)) {
        (true, true) => Sides::Both,
        (true, false) => Sides::Before,
        _ => Sides::After,
    };
    Ok(all.into_iter().filter(is_wanted).map(|name| (name.clone(), sides(name))).collect())
}

async fn of_metric(before: &Engine, after: &Engine, view: String, sides: Sides, cells: usize) -> Result<OfMetric> {
    let id = TableId { schema: SCHEMA.to_owned(), name: view.clone() };
    let (found, problem) = match sides {
        Sides::Before => (Difference::default(), Some("is only there before".to_owned())),
        Sides::After => (Difference::default(), Some("is only there after".to_owned())),
        Sides::Both => match compare(before, after, &id, cells).await {
            Ok(found) => (found, None),
            // A view that cannot be matched is told of; the others are compared.
            Err(error) if error.kind() == ErrorKind::Model => (Difference::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        },
    };
    let columns = found.columns.into_iter();
    Ok(OfMetric {
        metric: view,
        rows_before: found.rows_before,
        rows_after: found.rows_after,
        added: found.added,
        removed: found.removed,
        changed: found.changed,
        columns_added: found.columns_added,
        columns_removed: found.columns_removed,
        periods: found.periods,
        columns: columns
            .map(|(column, change)| OfColumn { column, rows: change.rows, sum_of_differences: change.sum })
            .collect(),
        first: found.first.into_iter().map(first).collect(),
        problem,
    })
}

fn first(cell: Cell) -> First {
    First {
        key: Key(cell.key),
        change: cell.change.word(),
        column: Some(cell.column).filter(|column| !column.is_empty()),
        before: cell.before,
        after: cell.after,
        difference: cell.difference,
    }
}

impl OfMetric {
    fn is_same(&self) -> bool {
        let rows = self.added + self.removed + self.changed;
        rows == 0 && self.columns_added.is_empty() && self.columns_removed.is_empty() && self.problem.is_none()
    }
}

fn text(differences: &Differences, terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let mut text = format!("before: {}\nafter:  {}\n", differences.before, differences.after);
    for metric in differences.metrics.iter().filter(|metric| !metric.is_same()) {
        text.push('\n');
        text.push_str(&style.strong(&metric.metric));
        text.push_str(&summary(metric));
        if !metric.columns.is_empty() {
            let head = [("column", Lean::Left), ("rows", Lean::Right), ("sum of differences", Lean::Right)];
            text.push_str(&listing(terminal, &head, metric.columns.iter().map(column_row).collect(), Overflow::Cut));
        }
        if !metric.first.is_empty() {
            let head = [
                ("row", Lean::Left),
                ("column", Lean::Left),
                ("before", Lean::Right),
                ("after", Lean::Right),
                ("difference", Lean::Right),
            ];
            text.push('\n');
            text.push_str(&listing(terminal, &head, metric.first.iter().map(first_row).collect(), Overflow::Cut));
        }
    }
    let same: Vec<&str> =
        differences.metrics.iter().filter(|metric| metric.is_same()).map(|metric| metric.metric.as_str()).collect();
    if !same.is_empty() {
        text.push_str(&format!("\nthe same: {}\n", same.join(", ")));
    }
    text
}

/// Returns the rest of the line with a metric's name, and what belongs to it as a whole.
fn summary(metric: &OfMetric) -> String {
    if let Some(problem) = &metric.problem {
        return format!(": {problem}\n");
    }
    let mut text = format!(
        ": {} changed, {} added, {} removed of {} before and {} after\n",
        counted(metric.changed, "row"),
        metric.added,
        metric.removed,
        metric.rows_before,
        metric.rows_after
    );
    if let (Some(first), Some(last)) = (metric.periods.first(), metric.periods.last()) {
        let count = counted(metric.periods.len() as u64, "period");
        text.push_str(&format!("in {count} from {first} to {last}\n"));
    }
    for (names, what) in [(&metric.columns_added, "added"), (&metric.columns_removed, "removed")] {
        if !names.is_empty() {
            text.push_str(&format!("columns {what}: {}\n", names.join(", ")));
        }
    }
    text
}

fn column_row(column: &OfColumn) -> Vec<String> {
    let sum = column.sum_of_differences.map(|sum| grouped(sum, PLACES)).unwrap_or_default();
    vec![column.column.clone(), column.rows.to_string(), sum]
}

fn first_row(first: &First) -> Vec<String> {
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let key: Vec<String> = first.key.0.iter().map(|(_, value)| cell(value)).collect();
    let (column, before, after) = match &first.column {
        Some(column) => (column.clone(), cell(&first.before), cell(&first.after)),
        None => (format!("({})", first.change), String::new(), String::new()),
    };
    let difference = first.difference.map(difference_text).unwrap_or_default();
    vec![key.join(" "), column, before, after, difference]
}

/// Returns a difference with cents, or with more places where it is smaller than they show.
fn difference_text(difference: f64) -> String {
    if difference.abs() < 0.1 { format!("{difference:.6}") } else { grouped(difference, PLACES) }
}
