//! What stands beside a model's SQL.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, TimeUnit};
use serde::Deserialize;

use super::parts::Parts;
use super::reach::ReachEntry;
use crate::domain::governance::Decisions;
use crate::domain::toml_faults;

/// The sidecar of a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// What a row is and which choices were made.
    #[serde(default)]
    pub description: String,
    /// The grain in words: "month and channel".
    #[serde(default)]
    pub grain: String,
    /// The columns that tell rows apart.
    #[serde(default)]
    pub key: Vec<String>,
    /// The column that says of which period a row is, where there is one.
    pub period: Option<String>,
    /// Tables without which the view has no rows.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The columns in order: name, kind, meaning (what NULL means included).
    #[serde(default)]
    pub columns: Vec<ColumnDoc>,
    /// The native operator that the rows of the select go through.
    pub operator: Option<OperatorKind>,
    /// Tables that the operator reads beside the select.
    #[serde(default)]
    pub beside: Vec<String>,
    /// The registry entry of the metric that the view is named for.
    pub metric: Option<MetricEntry>,
    /// The registry entries of further metrics that stand in columns of the view, by name.
    #[serde(default)]
    pub measures: BTreeMap<String, MetricEntry>,
    /// The laws that the rows keep.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Which records the numbers come from.
    #[serde(default)]
    pub parts: Vec<Parts>,
    /// Columns of the key whose values stand side by side, each with all records, and must not be added up: with SQL for
    /// the value that is taken where none is asked for, or an empty text where one must be.
    #[serde(default)]
    pub apart: BTreeMap<String, String>,
    /// Columns of the key with a value that stands for all others together: `channel = "(all)"`.
    #[serde(default)]
    pub totals: BTreeMap<String, String>,
    /// What makes the view a rule: its rows are rows of sources that something is wrong with.
    pub rule: Option<RuleEntry>,
    /// What the select is repeated for.
    pub each: Option<Each>,
    /// The view by month of the same schema whose select this one's is, with weeks for months; it has none of its own.
    pub weeks_of: Option<String>,
    /// How the view is published, where its period does not say it.
    pub publish: Option<PublishEntry>,
    /// Whether a run that publishes computes the rows once for all metrics and laws that read them: they are few, and made
    /// of many.
    #[serde(default)]
    pub once: bool,
    /// How far a change of what the select reads reaches, by table or model; what is not said touches all months.
    #[serde(default)]
    pub reach: BTreeMap<String, ReachEntry>,
}

/// How a view is published.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishEntry {
    /// SQL for the month with which a row is published, its first day: the one after which the row does not change by
    /// waiting.
    pub month: String,
}

/// The entry of a rule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// How bad an offending row is.
    #[serde(default)]
    pub severity: Severity,
    /// What is done about an offending row.
    #[serde(default)]
    pub advice: String,
    /// The source tables that its rows are of.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Whether it is off until the configuration names it.
    #[serde(default)]
    pub is_optional: bool,
}

/// What a select is repeated for, with the names in braces filled in, as one union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The rules that are on.
    EnabledRule,
    /// All rules.
    Rule,
    /// The columns of the contract that name a row of another table.
    ForeignKey,
    /// The entries of `[quality.required_fields]`.
    RequiredField,
    /// The entries of `[quality.name_patterns]`.
    NamePattern,
}

/// A law: a query for the rows that break it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The name, one for each law of a view: "bridge_closes".
    pub name: String,
    /// The law in words.
    pub description: String,
    /// How bad a broken law is.
    #[serde(default)]
    pub severity: Severity,
    /// One select, whose rows are those that break the law; none where it holds.
    pub sql: String,
}

/// How bad a broken law is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A number is wrong.
    #[default]
    Error,
    /// A number is right, but somebody should look at it.
    Warning,
}

/// A column as a sidecar documents it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ColumnDoc(pub String, pub ColumnKind, pub String);

/// Type and unit of a column in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// An id or another text.
    Text,
    /// A day, or the first day of a period.
    Date,
    /// An instant in UTC.
    Instant,
    /// Money in reporting currency, to the cent.
    Money,
    /// Money per something, not rounded.
    MoneyPer,
    /// A part of something: 0.31 is 31 %.
    Ratio,
    /// A ratio that lies within 0 and 1, which is checked.
    Share,
    /// Days of 86,400 seconds.
    Days,
    /// An exchange rate.
    Rate,
    /// Fractional customers or conversions.
    Fraction,
    /// A number whose unit another column of the row tells.
    Number,
    /// A whole number.
    Count,
    /// True or false.
    Flag,
}

impl ColumnKind {
    /// Returns the unit as `meta.columns` shows it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Date => "date",
            Self::Instant => "instant",
            Self::Money => "money",
            Self::MoneyPer => "money per unit",
            Self::Ratio | Self::Share => "ratio",
            Self::Days => "days",
            Self::Rate => "exchange rate",
            Self::Fraction => "fractional count",
            Self::Number => "number",
            Self::Count => "count",
            Self::Flag => "flag",
        }
    }

    /// Returns the type that a column of this kind has, as SQL writes it.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Date => "date",
            Self::Instant => "timestamp(6) with time zone",
            Self::Money => "decimal(18, 2)",
            Self::Rate => "decimal(18, 8)",
            Self::MoneyPer | Self::Ratio | Self::Share | Self::Days | Self::Fraction | Self::Number => "double",
            Self::Count => "bigint",
            Self::Flag => "boolean",
        }
    }

    /// Returns the type that a column of this kind has.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::Date => DataType::Date32,
            Self::Rate => DataType::Decimal128(18, 8),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Money => DataType::Decimal128(18, 2),
            Self::MoneyPer | Self::Ratio | Self::Share | Self::Days | Self::Fraction | Self::Number => {
                DataType::Float64
            }
            Self::Count => DataType::Int64,
            Self::Flag => DataType::Boolean,
        }
    }
}

/// A native operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    /// Adds `live_account_id` and `is_live` to accounts.
    IdentifyAccounts,
    /// Adds `live_contact_id` to contacts.
    IdentifyContacts,
    /// Adds `live_account_id` and `is_live` to leads; beside: accounts.
    IdentifyLeads,
    /// Adds `entity_id` to billing customers; beside: accounts, contacts.
    IdentifyCustomers,
    /// Adds `live_account_id` and `person_id` to touches; beside: accounts, contacts, leads.
    IdentifyTouches,
    /// The first touch of each account; beside: accounts, contacts, leads.
    FirstTouches,
    /// MRR of each entity and month; beside: rates at the ends of months.
    MrrMonths,
    /// MRR of each entity and week; beside: rates at the ends of weeks.
    MrrWeeks,
    /// Credit of conversions by touch; beside: conversions, contact roles.
    Credit,
    /// Credit of conversions in sums; beside: conversions, contact roles.
    CreditSums,
    /// Credit of conversions by channel, of the models that look at all paths; beside: accounts, contacts, leads,
    /// conversions.
    ChannelCredit,
    /// As `credit` for deals when they are created, of the models that need no closing.
    PipelineCredit,
    /// As `credit_sums` for deals when they are created, of the models that need no closing.
    PipelineCreditSums,
}

/// The registry entry of a metric.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricEntry {
    /// Name for people.
    pub label: String,
    /// Unit of the value.
    pub unit: String,
    /// The column of the view that holds the value; the metric's own name where it is not said.
    pub column: Option<String>,
    /// `weekly`, `monthly` or `quarterly`.
    pub cadence: String,
    /// `up` or `down`: what is good.
    pub direction: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it should be.
    pub target: Option<f64>,
    /// How far it may be off.
    pub threshold: Option<f64>,
    /// What is done when it is off.
    pub action_plan: Option<String>,
}

impl MetricEntry {
    /// Takes over what is decided elsewhere.
    pub fn take_over(&mut self, decisions: &Decisions) {
        let texts = [
            (&mut self.label, &decisions.label),
            (&mut self.unit, &decisions.unit),
            (&mut self.cadence, &decisions.cadence),
            (&mut self.direction, &decisions.direction),
        ];
        for (field, decided) in texts {
            if let Some(decided) = decided {
                decided.clone_into(field);
            }
        }
        let optional = [
            (&mut self.column, &decisions.column),
            (&mut self.owner, &decisions.owner),
            (&mut self.action_plan, &decisions.action_plan),
        ];
        for (field, decided) in optional {
            if decided.is_some() {
                field.clone_from(decided);
            }
        }
        self.target = decisions.target.or(self.target);
        self.threshold = decisions.threshold.or(self.threshold);
    }

    /// Returns the entry that decisions make by themselves; `None` where they leave out what every entry has.
    pub fn of_decisions(decisions: &Decisions) -> Option<Self> {
        let mut entry = Self {
            label: decisions.label.clone()?,
            unit: decisions.unit.clone()?,
            column: None,
            cadence: decisions.cadence.clone()?,
            direction: decisions.direction.clone()?,
            owner: None,
            target: None,
            threshold: None,
            action_plan: None,
        };
        entry.take_over(decisions);
        Some(entry)
    }
}

/// Returns the sidecar in a text; `Err` is the problem, which begins with line and column.
pub fn parse(text: &str) -> Result<Sidecar, String> {
    let mut sidecar: Sidecar = toml::from_str(text).map_err(|fault| toml_faults::described(text, &fault))?;
    if sidecar.rule.is_some() && sidecar.columns.is_empty() {
        sidecar.columns =
            rule_columns().map(|column| ColumnDoc(column.0.into(), ColumnKind::Text, column.2.into())).collect();
    }
    if sidecar.rule.is_some() && sidecar.grain.is_empty() {
        sidecar.grain = "row of a source".to_owned();
    }
    Ok(sidecar)
}

/// Returns the columns of every rule: name, whether it may be left out, meaning.
pub fn rule_columns() -> impl Iterator<Item = (&'static str, bool, &'static str)> {
    [
        ("table_name", false, "table that the row is of, with its schema"),
        ("record_id", false, "key of the row; the parts of a composite key with ', ' between"),
        ("column_name", true, "column that the rule is about; NULL where it is about the row"),
        ("details", true, "what is wrong with it, with the values"),
    ]
    .into_iter()
}
