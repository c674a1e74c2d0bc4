//! Which months of a metric a change can have touched, as far as that is known.

use std::collections::BTreeMap;

use super::basis::{Files, Observation, recorded_files};
use super::entry::{Basis, TableState, WHOLE};
use super::view::View;
use crate::catalog::TableId;
use crate::domain::calendar::Calendar;
use crate::domain::month::Month;
use crate::engine::{Engine, Session};
use crate::error::Result;
use crate::metrics::SCHEMA;
use crate::models::reach::{Reach, Spread, TableReach};
use crate::sources::{InputFile, Span};

/// Microseconds of a day of 24 hours.
const MICROS_PER_DAY: f64 = 86_400e6;

/// Months of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// From the first to the second, both included; in order and apart from each other.
    Ranges(Vec<(Month, Month)>),
    /// All that have ended, or the whole of what has no months; and why.
    All(String),
}

impl Scope {
    /// Returns the months of a metric that may be others than those that are published, of those that have ended.
    ///
    /// # Errors
    /// `Storage` where what was recorded cannot be read.
    pub async fn since(
        before: &TableState,
        (engine, session): (&Engine, &Session),
        view: &View,
        now: &Observation,
    ) -> Result<Self> {
        let Some(covered) = &before.covered else {
            return Ok(Self::All("not all months were computed before".to_owned()));
        };
        if let Some(why) = why_all(covered, &now.basis) {
            return Ok(Self::All(why.to_owned()));
        }
        let changed = if covered.inputs == now.basis.inputs {
            Files::new()
        } else {
            changed(&recorded_files(engine.warehouse(), covered).await?, &now.files)
        };
        let id = TableId { schema: SCHEMA.to_owned(), name: view.metric.clone() };
        let reach = engine.models().reach(&id, session.settings());
        if let Some(why) = why_unknown(engine, &reach, &changed, covered, &now.basis) {
            return Ok(Self::All(why));
        }
        let calendar = session.settings().calendar();
        let times = Times { calendar: &calendar, since: covered.as_of_micros, until: now.basis.as_of_micros };
        Ok(match touched(&reach.tables, &changed, &now.files, &times) {
            Err(why) => Self::All(why),
            Ok(touched) if !view.has_months() => match touched.first() {
                Some(touched) => Self::All(format!("{} changed", touched.table)),
                None => Self::Ranges(Vec::new()),
            },
            Ok(touched) => Self::of_months(touched, before, covered, &times),
        })
    }

    fn of_months(touched: Vec<Touched<'_>>, before: &TableState, covered: &Basis, times: &Times<'_>) -> Self {
        let last = times.month(times.until).plus(-1);
        let published = || before.months.keys().filter_map(|month| month.parse::<Month>().ok());
        let Some(earliest) = published().min() else { return Self::All("nothing was published".to_owned()) };
        // The first month is where the row of months begins, which others may be filled up from.
        if let Some(touched) = touched.iter().find(|touched| touched.first <= earliest) {
            return Self::All(format!("{} changed in the first month or before it", touched.table));
        }
        let mut ranges: Vec<(Month, Month)> = vec![(times.month(times.since), last)];
        ranges.extend(touched.iter().map(|touched| (touched.first, touched.last.unwrap_or(last).min(last))));
        ranges.extend(before.open_until(last));
        // What was computed of something else, by a run of some months, is not known to be right.
        let others = published().filter(|month| before.basis(&month.to_string()) != Some(covered));
        ranges.extend(others.filter(|month| *month <= last).map(|month| (month, month)));
        Self::Ranges(merged(ranges))
    }

    /// Returns whether nothing is to be computed.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Ranges(ranges) if ranges.is_empty())
    }

    /// Returns whether a month is to be computed: `2026-03`, or [`WHOLE`].
    pub fn has(&self, month: &str) -> bool {
        match self {
            Self::All(_) => true,
            Self::Ranges(ranges) if month == WHOLE => !ranges.is_empty(),
            Self::Ranges(ranges) => {
                let month: Option<Month> = month.parse().ok();
                month.is_some_and(|month| ranges.iter().any(|(first, last)| *first <= month && month <= *last))
            }
        }
    }

    /// Returns it in words: `2026-02`, `2026-02 to 2026-05, 2026-07`, `all: its SQL changed`, `none`.
    pub fn words(&self) -> String {
        match self {
            Self::All(why) => format!("all: {why}"),
            Self::Ranges(ranges) if ranges.is_empty() => "none".to_owned(),
            Self::Ranges(ranges) => {
                let words = ranges.iter().map(|(first, last)| match first == last {
                    true => first.to_string(),
                    false => format!("{first} to {last}"),
                });
                words.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// When the world was looked at before, and when now.
struct Times<'a> {
    calendar: &'a Calendar,
    since: i64,
    until: i64,
}

impl Times<'_> {
    fn month(&self, micros: i64) -> Month {
        Month::of_day(self.calendar.month(micros))
    }

    /// Returns the part of a span that was not yet looked at before, and is now; `None` where there is none.
    fn between(&self, span: Span) -> Option<Span> {
        let (since, until) = (self.calendar.day(self.since), self.calendar.day(self.until));
        match span {
            Span::Micros(low, high) if high >= self.since && low < self.until => {
                Some(Span::Micros(low.max(self.since), high.min(self.until)))
            }
            Span::Days(low, high) if high >= since && low <= until => Some(Span::Days(low.max(since), high.min(until))),
            _ => None,
        }
    }
}

/// Months that a change of a table touches.
struct Touched<'a> {
    table: &'a TableId,
    first: Month,
    /// `None` is all that follow.
    last: Option<Month>,
}

/// Returns why what was computed of one thing says nothing of another; `None` where only files differ, or time went by.
fn why_all(before: &Basis, now: &Basis) -> Option<&'static str> {
    if before.sql != now.sql {
        return Some("its SQL changed");
    }
    if before.settings != now.settings {
        return Some("settings changed");
    }
    (before.as_of_micros > now.as_of_micros).then_some("as_of went back")
}

/// Returns why it is not known which months a change touches; `None` where it is, or nothing of it changed.
fn why_unknown(engine: &Engine, reach: &Reach, changed: &Files, before: &Basis, now: &Basis) -> Option<String> {
    let has_moved = before.as_of_micros != now.as_of_micros;
    if has_moved && reach.is_of_now {
        return Some("it looks at as_of itself".to_owned());
    }
    let (model, read) = reach.unknown.iter().find(|(_, read)| {
        let behind = engine.models().closure([read.clone()]);
        has_moved || behind.iter().any(|id| changed.contains_key(&id.to_string()))
    })?;
    Some(format!("\"{model}\" does not say which months \"{read}\" touches"))
}

/// Returns the months that changed files touch, and those of rows that were later than as_of and are not any more; `Err` is
/// why that is all of them.
fn touched<'a>(
    reaches: &'a [TableReach],
    changed: &Files,
    now: &Files,
    times: &Times<'_>,
) -> std::result::Result<Vec<Touched<'a>>, String> {
    let mut touched = Vec::new();
    for reach in reaches {
        let (table, name) = (&reach.table, reach.table.to_string());
        let files = changed.get(&name).map(Vec::as_slice).unwrap_or_default();
        if reach.by.is_empty() && !files.is_empty() {
            return Err(format!("{table} changed, of which each row touches all months"));
        }
        let moved = if times.since == times.until { None } else { now.get(&name) };
        for column in &reach.by {
            let of_changed = files.iter().map(|file| span_of(file, column).map(Some));
            let of_moved =
                moved.into_iter().flatten().map(|file| span_of(file, column).map(|span| times.between(span)));
            for span in of_changed.chain(of_moved) {
                let Some((first, last)) = span?.and_then(|span| months_of(span, reach.spread, times)) else { continue };
                if reach.spread.is_all {
                    return Err(format!("{table} changed, of which each row touches all months"));
                }
                touched.push(Touched { table, first, last });
            }
        }
    }
    Ok(touched)
}

fn span_of(file: &InputFile, column: &str) -> std::result::Result<Span, String> {
    let unknown = || format!("the footer of {} does not say from when to when {column} is", file.version.path);
    file.spans.get(column).copied().ok_or_else(unknown)
}

/// Returns the first and the last month that rows touch; `None` where all of them are later than as_of.
fn months_of(span: Span, spread: Spread, times: &Times<'_>) -> Option<(Month, Option<Month>)> {
    let (first, last) = match span {
        Span::Nothing => return None,
        Span::Micros(low, _) if low > times.until => return None,
        Span::Micros(low, high) => {
            let further = (spread.days * MICROS_PER_DAY).ceil() as i64;
            (times.month(low), times.month(high.min(times.until).saturating_add(further)))
        }
        Span::Days(low, high) => {
            let until = times.calendar.day(times.until);
            let last = high.min(until).max(low).saturating_add(spread.days.ceil() as i32);
            (Month::of_day(low), Month::of_day(last))
        }
    };
    let months = i32::try_from(spread.months).unwrap_or(i32::MAX);
    Some((first, (!spread.is_onwards).then(|| last.plus(months))))
}

/// Returns the versions of files that are on one side only, by table.
fn changed(before: &Files, now: &Files) -> Files {
    let mut changed = Files::new();
    let mut look = |one: &Files, other: &Files| {
        for (table, files) in one {
            let known: BTreeMap<&str, &InputFile> =
                other.get(table).into_iter().flatten().map(|file| (file.version.path.as_str(), file)).collect();
            let is_other = |file: &&InputFile| {
                known.get(file.version.path.as_str()).is_none_or(|known| known.version != file.version)
            };
            let others: Vec<InputFile> = files.iter().filter(is_other).cloned().collect();
            if !others.is_empty() {
                changed.entry(table.clone()).or_default().extend(others);
            }
        }
    };
    look(before, now);
    look(now, before);
    changed
}

/// Returns ranges in order, those that meet as one, empty ones left out.
pub fn merged(mut ranges: Vec<(Month, Month)>) -> Vec<(Month, Month)> {
    ranges.retain(|(first, last)| first <= last);
    ranges.sort();
    let mut merged: Vec<(Month, Month)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.plus(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Returns ranges, in order and apart from each other, without some months.
pub fn without(mut ranges: Vec<(Month, Month)>, months: impl IntoIterator<Item = Month>) -> Vec<(Month, Month)> {
    for month in months {
        let parts = ranges.into_iter().flat_map(|(first, last)| match first <= month && month <= last {
            true => vec![(first, month.plus(-1)), (month.plus(1), last)],
            false => vec![(first, last)],
        });
        ranges = parts.filter(|(first, last)| first <= last).collect();
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;

    fn month(text: &str) -> Month {
        text.parse().expect("a month")
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let of = |ranges: &[(&str, &str)]| {
            let ranges = ranges.iter().map(|(first, last)| (month(first), month(last))).collect();
            Scope::Ranges(merged(ranges)).words()
        };
        assert_eq!(
            of(&[("2026-05", "2026-06"), ("2026-01", "2026-02"), ("2026-03", "2026-03")]),
            "2026-01 to 2026-03, 2026-05 to 2026-06"
        );
        assert_eq!(of(&[("2026-01", "2026-06"), ("2026-02", "2026-03")]), "2026-01 to 2026-06");
        assert_eq!(of(&[("2026-02", "2026-01")]), "none");
    }

    #[test]
    fn a_month_is_taken_out_of_ranges() {
        let of = |months: &[&str]| {
            let ranges = vec![(month("2026-01"), month("2026-03")), (month("2026-06"), month("2026-06"))];
            Scope::Ranges(without(ranges, months.iter().map(|text| month(text)))).words()
        };
        assert_eq!(of(&["2026-02", "2026-05"]), "2026-01, 2026-03, 2026-06");
        assert_eq!(of(&["2026-01", "2026-06"]), "2026-02 to 2026-03");
    }

    #[test]
    fn months_are_those_of_the_time_zone_and_widened() {
        let settings = Settings::default().with("reporting.timezone", "Pacific/Auckland").expect("a zone");
        let calendar = settings.calendar();
        // 2026-03-31T12:00Z is 1 April there; 2026-08-01T00:00Z.
        let (at, until) = (1_774_958_400_000_000, 1_785_542_400_000_000);
        let times = Times { calendar: &calendar, since: until, until };
        let of = |spread| months_of(Span::Micros(at, at), spread, &times);
        assert_eq!(of(Spread::default()), Some((month("2026-04"), Some(month("2026-04")))));
        let days = Spread { days: 31.0, ..Spread::default() };
        assert_eq!(of(days), Some((month("2026-04"), Some(month("2026-05")))));
        assert_eq!(of(Spread { months: 2, ..days }), Some((month("2026-04"), Some(month("2026-07")))));
        assert_eq!(of(Spread { is_onwards: true, ..days }), Some((month("2026-04"), None)));
        assert_eq!(months_of(Span::Micros(until + 1, until + 2), days, &times), None);
        assert_eq!(months_of(Span::Nothing, days, &times), None);
    }
}
