//! How far a change of a source reaches: which months of a view it touches, as sidecars declare it step by step.
//!
//! A sidecar says of each table or model that its select reads in which months the view's rows of it count. What is not
//! said is not known, and touches all months. Start at [`ModelSet::reach`].

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use serde::Deserialize;

use super::{Model, ModelSet};
use crate::catalog::TableId;
use crate::catalog::contract::Contract;
use crate::config::settings::{SETTINGS, Settings, spec_of};

/// The name under which a sidecar says that "now" itself counts, not only what comes before it.
const AS_OF: &str = "reporting.as_of";

/// The schema of tables that change with the configuration alone.
const META: &str = "meta";

/// Which months of a view one of the things that it reads counts in, as a sidecar has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachEntry {
    /// The columns of a source table, days or instants, whose months a row counts in; NULL is none. A model has its own.
    #[serde(default)]
    pub by: Vec<String>,
    /// How much further it counts.
    #[serde(default)]
    pub reaches: Span,
}

/// How much further than its own month something counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// No further.
    #[default]
    Month,
    /// So many months more.
    Months(u32),
    /// `onwards`, `all`, or the setting that says how many days or months more.
    Word(String),
}

/// Months that something counts in, from its own on.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Spread {
    /// Days after.
    pub days: f64,
    /// Months after those.
    pub months: u32,
    /// Whether in all months after.
    pub is_onwards: bool,
    /// Whether in all months there are.
    pub is_all: bool,
}

impl ReachEntry {
    /// Returns whether it counts in all months, earlier ones included.
    pub fn is_of_all(&self) -> bool {
        self.reaches == Span::Word(ALL.to_owned())
    }
}

impl Spread {
    fn of(span: &Span, settings: &Settings) -> Self {
        match span {
            Span::Month => Self::default(),
            Span::Months(months) => Self { months: *months, ..Self::default() },
            Span::Word(word) if word == ONWARDS => Self { is_onwards: true, ..Self::default() },
            Span::Word(word) if word == ALL => Self { is_all: true, ..Self::default() },
            Span::Word(setting) if setting.ends_with(DAYS) => {
                Self { days: settings.number(setting), ..Self::default() }
            }
            Span::Word(setting) => Self { months: settings.number(setting).ceil() as u32, ..Self::default() },
        }
    }

    fn and(self, further: Self) -> Self {
        Self {
            days: self.days + further.days,
            months: self.months + further.months,
            is_onwards: self.is_onwards || further.is_onwards,
            is_all: self.is_all || further.is_all,
        }
    }
}

const ONWARDS: &str = "onwards";
const ALL: &str = "all";

/// How the name of a setting ends that is a number of days.
const DAYS: &str = "_days";

/// How the name of a setting ends that is a number of months.
const MONTHS: &str = "_months";

/// How far rows of a source table reach in a view, along one way of reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableReach {
    /// The source table.
    pub table: TableId,
    /// The columns whose months a row counts in; without any it touches all months.
    pub by: Vec<String>,
    /// How much further it counts.
    pub spread: Spread,
}

/// How far all that a view reads reaches in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reach {
    /// The source tables, along every way of reading them.
    pub tables: Vec<TableReach>,
    /// Whether "now" itself counts, in all months.
    pub is_of_now: bool,
    /// The models that do not say how far what they read reaches, with what they read: those touch all months, and so may
    /// "now".
    pub unknown: Vec<(TableId, TableId)>,
}

impl Reach {
    fn merge(&mut self, other: &Self, further: Spread) {
        for reach in &other.tables {
            let reach = TableReach { spread: reach.spread.and(further), ..reach.clone() };
            if !self.tables.contains(&reach) {
                self.tables.push(reach);
            }
        }
        self.is_of_now |= other.is_of_now;
        for unknown in &other.unknown {
            if !self.unknown.contains(unknown) {
                self.unknown.push(unknown.clone());
            }
        }
    }
}

impl ModelSet {
    /// Returns how far what a view reads reaches in it, under settings.
    pub fn reach(&self, view: &TableId, settings: &Settings) -> Reach {
        let mut known = BTreeMap::new();
        self.reach_of(view, settings, &mut known);
        known.remove(view).unwrap_or_default()
    }

    /// Puts the reach of a model to those that are known. There are no circles between models.
    fn reach_of(&self, id: &TableId, settings: &Settings, known: &mut BTreeMap<TableId, Reach>) {
        let Some(model) = self.get(id).filter(|_| !known.contains_key(id)) else { return };
        let mut reach = Reach { is_of_now: model.sidecar.reach.contains_key(AS_OF), ..Reach::default() };
        for read in model.reads.iter().filter(|read| read.schema != META) {
            let entry = model.sidecar.reach.get(&read.to_string());
            match (entry, self.get(read).is_some()) {
                (Some(entry), true) if entry.by.is_empty() => {
                    self.reach_of(read, settings, known);
                    reach.merge(&known[read], Spread::of(&entry.reaches, settings));
                }
                (Some(entry), false) => {
                    let (by, spread) = (entry.by.clone(), Spread::of(&entry.reaches, settings));
                    reach.tables.push(TableReach { table: read.clone(), by, spread });
                }
                // Nothing is said, or it is said of a table whose place a model took.
                _ => reach.unknown.push((id.clone(), read.clone())),
            }
        }
        known.insert(id.clone(), reach);
    }
}

/// Returns what is wrong with what a model's sidecar says of reach; `broken` are models that do not parse.
pub(super) fn problems(model: &Model, models: &BTreeMap<TableId, Model>, broken: &BTreeSet<TableId>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, entry) in &model.sidecar.reach {
        let mut wrong = |problem: String| problems.push(format!("[reach] \"{name}\": {problem}"));
        if name == AS_OF {
            if !entry.is_of_all() {
                wrong("now counts in all months or in none; hint: reaches = \"all\"".to_owned());
            }
            continue;
        }
        let Some(read) = model.reads.iter().find(|read| read.to_string() == *name) else {
            wrong("the view does not read it".to_owned());
            continue;
        };
        if let Span::Word(word) = &entry.reaches
            && ![ONWARDS, ALL].contains(&word.as_str())
            && (spec_of(word).is_none() || ![DAYS, MONTHS].iter().any(|unit| word.ends_with(unit)))
        {
            let known = SETTINGS.iter().map(|spec| spec.name).filter(|name| name.ends_with(DAYS));
            let known = known.collect::<Vec<_>>().join(", ");
            wrong(format!("reaches \"{word}\" is no span; hint: a number of months, onwards, all, or one of {known}"));
        }
        if !models.contains_key(read) && !broken.contains(read) {
            wrong_columns(read, entry).into_iter().for_each(&mut wrong);
        }
    }
    problems
}

fn wrong_columns(table: &TableId, entry: &ReachEntry) -> Vec<String> {
    if entry.by.is_empty() && !entry.is_of_all() {
        return vec!["of a source table it must be said by which columns; hint: by = [\"paid_at\"]".to_owned()];
    }
    let Some(contract) = Contract::get().table(&table.schema, &table.name) else { return Vec::new() };
    let is_time = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Timestamp(..));
    let has = |name: &String| contract.columns.iter().any(|column| column.name == *name && is_time(&column.data_type));
    let wrong = entry.by.iter().filter(|name| !has(name));
    wrong.map(|name| format!("it has no column \"{name}\" of days or instants")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::QualityConfig;

    fn id(name: &str) -> TableId {
        let (schema, name) = name.split_once('.').expect("a dotted name");
        TableId { schema: schema.to_owned(), name: name.to_owned() }
    }

    fn built_in() -> ModelSet {
        ModelSet::load(None, &[], &QualityConfig::default()).expect("the models are right")
    }

    #[test]
    fn every_metric_says_how_far_it_reaches() {
        let models = built_in();
        for model in models.iter().filter(|model| model.id.schema == "metrics") {
            let reach = models.reach(&model.id, &Settings::default());
            assert!(reach.unknown.is_empty(), "{}: {:?}", model.id, reach.unknown);
            assert!(!reach.tables.is_empty(), "{}", model.id);
        }
    }

    #[test]
    fn steps_add_up() {
        let models = built_in();
        let settings = Settings::default().with("attribution.lookback_days", "30").expect("a right value");
        let of = |view: &str, table: &str| -> Vec<TableReach> {
            let reach = models.reach(&id(view), &settings).tables.into_iter();
            reach.filter(|reach| reach.table == id(table)).collect()
        };
        let touches = of("metrics.attribution", "campaign.touches");
        let spread = Spread { days: 30.0, ..Spread::default() };
        assert_eq!(touches, [TableReach { table: id("campaign.touches"), by: vec!["touched_at".to_owned()], spread }]);
        assert!(of("metrics.nrr", "finance.fx_rates").iter().all(|reach| reach.spread.is_onwards));
        assert!(of("metrics.cac", "campaign.touches").is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut models = built_in().models;
        let mut model = models[&id("core.spend")].clone();
        let entry = |by: &[&str], word: &str| ReachEntry {
            by: by.iter().map(|name| (*name).to_owned()).collect(),
            reaches: Span::Word(word.to_owned()),
        };
        model.sidecar.reach = BTreeMap::from([
            ("campaign.spend".to_owned(), entry(&["platform"], "attribution.lookback_day")),
            ("core.credit".to_owned(), entry(&[], ALL)),
        ]);
        models.insert(model.id.clone(), model.clone());
        let found = problems(&model, &models, &BTreeSet::new());
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].contains("\"attribution.lookback_day\" is no span"), "{}", found[0]);
        assert!(found[1].contains("no column \"platform\" of days or instants"), "{}", found[1]);
        assert!(found[2].contains("the view does not read it"), "{}", found[2]);
    }
}
