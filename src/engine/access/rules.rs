//! From configured roles to checked ones: every table, column and condition that they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, ScalarUDF, Volatility};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::published;
use super::sight::{RowFilter, Sight};
use crate::catalog::TableId;
use crate::catalog::contract::{Contract, type_name};
use crate::config::{Mask, Place, RoleConfig};
use crate::domain::names::nearest;
use crate::engine::faults;
use crate::engine::native::without_qualifiers;
use crate::engine::published::{PUBLISHED, described_by, own_column};
use crate::engine::sandbox::SANDBOX;
use crate::engine::state::Shared;
use crate::error::{Error, ErrorKind, Result};

/// Schemas whose rows no filter and no mask changes: what they hold is asked of the tables that it comes from.
const NOT_CHANGED: [&str; 4] = ["information_schema", "meta", PUBLISHED, SANDBOX];

/// Returns the roles, checked against the tables that there are.
///
/// # Errors
/// `Config` with every problem of all roles at once.
pub(super) async fn checked(
    whole: &Arc<Shared>,
    configured: &BTreeMap<String, RoleConfig>,
    hash: Option<&Arc<ScalarUDF>>,
) -> Result<BTreeMap<String, Arc<Sight>>> {
    let (mut sights, mut problems) = (BTreeMap::new(), Vec::new());
    for (role, config) in configured {
        let mut check = Check { whole, problems: Vec::new() };
        let sight = check.role(role, config, hash).await;
        let origin = whole.config.file.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display()));
        problems.extend(check.problems.into_iter().map(|problem| format!("{origin}[roles.{role}] {problem}")));
        sights.insert(role.clone(), sight);
    }
    if let Some(error) = Error::list(ErrorKind::Config, "the configuration is wrong", problems) {
        return Err(error);
    }
    let mut checked = BTreeMap::new();
    for (role, sight) in sights {
        let published = published::filters(whole, &sight).await?;
        checked.insert(role, Arc::new(Sight { published, ..sight }));
    }
    Ok(checked)
}

/// Returns an error with its hint in one line.
fn in_a_line(error: &Error) -> String {
    error.hint().map_or_else(|| error.message().to_owned(), |hint| format!("{}; hint: {hint}", error.message()))
}

struct Check<'whole> {
    whole: &'whole Arc<Shared>,
    problems: Vec<String>,
}

impl Check<'_> {
    async fn role(&mut self, role: &str, config: &RoleConfig, hash: Option<&Arc<ScalarUDF>>) -> Sight {
        for (key, places) in [("read", &config.read), ("hide", &config.hide)] {
            for place in places {
                if let Err(problem) = self.place(place).await {
                    self.problems.push(format!("{key} \"{place}\": {problem}"));
                }
            }
        }
        let mut filters: BTreeMap<TableId, Vec<RowFilter>> = BTreeMap::new();
        for (number, filter) in (1..).zip(&config.filters) {
            let id = TableId { schema: filter.table.0.clone(), name: filter.table.1.clone() };
            match self.filter(&id, &filter.condition).await {
                Ok(filter) => filters.entry(id).or_default().push(filter),
                Err(error) => self.problems.push(format!("filters {number} on \"{id}\": {}", in_a_line(&error))),
            }
        }
        let mut masks: BTreeMap<TableId, BTreeMap<String, Mask>> = BTreeMap::new();
        for (number, mask) in (1..).zip(&config.masks) {
            let id = TableId { schema: mask.table.0.clone(), name: mask.table.1.clone() };
            match self.mask(&id, &mask.column, mask.mask).await {
                Ok(()) => drop(masks.entry(id).or_default().insert(mask.column.clone(), mask.mask)),
                Err(error) => self.problems.push(format!("masks {number} on \"{id}\": {}", in_a_line(&error))),
            }
        }
        let published = BTreeMap::new();
        Sight { role: role.to_owned(), config: config.clone(), filters, masks, published, hash: hash.cloned() }
    }

    /// Returns the problem of a place that there is not.
    async fn place(&self, place: &Place) -> Result<(), String> {
        let (schema, name, column) = match place {
            Place::Everything => return Ok(()),
            Place::Schema(schema) => return self.schema(schema),
            Place::Table(schema, name) => (schema, name, None),
            Place::Column(schema, name, column) => (schema, name, Some(column)),
        };
        self.schema(schema)?;
        let id = TableId { schema: schema.clone(), name: name.clone() };
        // Users make tables of the sandbox, and other modules hand over tables of meta, at any time.
        if schema == SANDBOX || schema == "meta" {
            return Ok(());
        }
        let described = described_by(&id);
        let table = self.whole.provider(&described).await.map_err(|error| in_a_line(&error))?;
        let schema = table.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str());
        match column.filter(|column| schema.field_with_name(column).is_err() && own_column(&id, column).is_none()) {
            Some(column) => Err(unknown_column(column, names)),
            None => Ok(()),
        }
    }

    fn schema(&self, schema: &str) -> Result<(), String> {
        let names = self.whole.schema_names();
        if names.iter().any(|name| name == schema) {
            return Ok(());
        }
        let near = nearest(schema, names.iter().map(String::as_str));
        let hint =
            near.map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean \"{near}\"?"));
        Err(format!("schema \"{schema}\" does not exist; hint: {hint}"))
    }

    async fn changeable(&self, id: &TableId) -> Result<Arc<dyn datafusion::catalog::TableProvider>> {
        if NOT_CHANGED.contains(&id.schema.as_str()) {
            return Err(Error::new(ErrorKind::Config, format!("rows of schema \"{}\" are not changed", id.schema))
                .with_hint("name the tables that they are made of, or the metric that is published"));
        }
        self.whole.provider(id).await
    }

    async fn filter(&self, id: &TableId, text: &str) -> Result<RowFilter> {
        let table = self.changeable(id).await?;
        let name = TableReference::partial(id.schema.as_str(), id.name.as_str());
        let schema = DFSchema::try_from_qualified_schema(name.clone(), &table.schema()).map_err(faults::of_query)?;
        let base = self.whole.base();
        let more_than_a_row = || {
            Error::new(ErrorKind::Config, "the condition looks at more than one row, or changes by itself")
                .with_hint("write it over the columns of the table, current_user and user_attribute('NAME')")
        };
        let condition = base.create_logical_expr(&as_parsed(text), &schema).map_err(|fault| {
            let error = faults::of_query(fault);
            // A condition by itself knows no table that a query in it may read.
            if error.message().starts_with("table ") { more_than_a_row() } else { error }
        })?;
        if condition.exists(|part| Ok(is_more_than_a_row(part))).map_err(faults::of_query)? {
            return Err(more_than_a_row());
        }
        match condition.get_type(&schema).map_err(faults::of_query)? {
            DataType::Boolean | DataType::Null => {}
            other => {
                let found = type_name(&other);
                return Err(Error::new(ErrorKind::Config, format!("expected true or false, found {found}"))
                    .with_hint("write a condition such as country = user_attribute('country')"));
            }
        }
        let columns = condition.column_refs().into_iter().map(|column| column.name.clone()).collect();
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)
            .and_then(|plan| plan.filter(condition.clone()))
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| base.analyzer().execute_and_check(plan, base.config_options(), |_, _| {}));
        plan.map_err(faults::of_query)?;
        let condition = without_qualifiers(condition).map_err(faults::of_query)?;
        Ok(RowFilter { condition, columns })
    }

    async fn mask(&self, id: &TableId, column: &str, mask: Mask) -> Result<()> {
        let schema = self.changeable(id).await?.schema();
        let problem = |text: String, hint: &str| Err(Error::new(ErrorKind::Config, text).with_hint(hint));
        let Ok(field) = schema.field_with_name(column) else {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            return Err(Error::new(ErrorKind::Config, unknown_column(column, names)));
        };
        let kind = match field.data_type() {
            DataType::Dictionary(_, kind) => kind.as_ref(),
            kind => kind,
        };
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if mask != Mask::Null && !is_text {
            return problem(
                format!("mask {} is for texts, and column \"{column}\" is none", mask.name()),
                "mask = \"null\" is for any type",
            );
        }
        let of_contract = Contract::get().table(&id.schema, &id.name).map(|table| &table.key);
        let key = self.whole.models.get(id).map(|model| &model.sidecar.key).or(of_contract);
        if mask != Mask::Hash && key.is_some_and(|key| key.iter().any(|name| name == column)) {
            return problem(
                format!("column \"{column}\" is of the key, which tells rows apart"),
                "mask = \"hash\" still does",
            );
        }
        Ok(())
    }
}

fn unknown_column<'a>(column: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let hint = nearest(column, names.iter().copied())
        .map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean \"{near}\"?"));
    format!("column \"{column}\" does not exist; hint: {hint}")
}

/// Returns a condition as the parser reads it, which knows `current_user` without parentheses alone.
fn as_parsed(text: &str) -> String {
    // What cannot be cut into words is left to the parser, which says what is wrong.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return text.to_owned() };
    let is_user = |token: &Token| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(CURRENT_USER));
    let mut parsed = String::new();
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        parsed.push_str(&token.to_string());
        rest = match after {
            [Token::LParen, Token::RParen, after @ ..] if is_user(token) => after,
            after => after,
        };
    }
    parsed
}

/// The function that says who asks.
const CURRENT_USER: &str = "current_user";

/// Returns whether a part of a condition needs more than its row, or gives something else each time.
fn is_more_than_a_row(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(function) => function.func.signature().volatility == Volatility::Volatile,
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => false,
        _ => true,
    }
}
