//! The `[metrics.NAME]` sections.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::reader::{Reader, described};
use crate::domain::governance::{Decisions, whole_of};

/// The keys of a metric.
const KEYS: [&str; 7] = ["owner", "target", "threshold", "action_plan", "cadence", "direction", "label"];

/// How many of them a part of a metric may have: the others are those of the whole.
const KEYS_OF_PART: usize = 4;

impl Reader {
    /// Returns what is decided about metrics; whether there are such metrics is told when the models are known.
    pub(super) fn metrics(&mut self, table: Table) -> BTreeMap<String, Decisions> {
        let mut metrics = BTreeMap::new();
        for (name, value) in table {
            let shown = if whole_of(&name).is_some() { format!("\"{name}\"") } else { name.clone() };
            let place = format!("[metrics.{shown}]");
            let Value::Table(keys) = value else {
                self.problem_at(&place, format!("expected a section, found {}", value.type_str()));
                continue;
            };
            let known = if whole_of(&name).is_some() { &KEYS[..KEYS_OF_PART] } else { &KEYS[..] };
            let mut decisions = Decisions::default();
            for (key, value) in keys {
                if known.contains(&key.as_str()) {
                    self.decision(&mut decisions, &format!("{place} {key}"), &key, value);
                } else {
                    self.unknown("key", &key, &format!(" in {place}"), known);
                }
            }
            for (key, problem) in decisions.problems() {
                self.problem_at(&format!("{place} {key}"), problem);
            }
            metrics.insert(name, decisions);
        }
        metrics
    }

    fn decision(&mut self, decisions: &mut Decisions, place: &str, key: &str, value: Value) {
        if let "target" | "threshold" = key {
            let number = match value {
                Value::Float(number) => Some(number),
                Value::Integer(number) => Some(number as f64),
                other => {
                    self.problem_at(place, format!("expected a number, found {}", described(&other)));
                    None
                }
            };
            let field = if key == "target" { &mut decisions.target } else { &mut decisions.threshold };
            *field = number;
            return;
        }
        let text = self.text(place, value);
        match key {
            "owner" => decisions.owner = text,
            "action_plan" => decisions.action_plan = text,
            "cadence" => decisions.cadence = text,
            "direction" => decisions.direction = text,
            _ => decisions.label = text,
        }
    }
}
