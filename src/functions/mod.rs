//! Native functions and operators that the SQL of models uses: calendar cuts, money, percentiles, identity, attribution.
//!
//! They are pure: what they return depends on their arguments and the settings of the session alone. They know no model
//! and no file. Start at [`scalar_functions`].

pub mod attribution;
mod calendar;
pub mod growth;
pub mod identity;
pub mod masks;
mod money;
pub mod mrr;
pub mod names;
pub mod operator;
mod percentile;
pub mod settings;
pub mod stop;
mod texts;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Returns the scalar functions, by the names under which SQL calls them.
pub fn scalar_functions() -> Vec<ScalarUDF> {
    let mut functions = vec![ScalarUDF::from(settings::SettingFunction::new())];
    functions.extend(calendar::functions());
    functions.extend(money::functions());
    functions.extend(names::functions());
    functions.extend(texts::functions());
    functions
}

/// Returns the aggregate functions.
pub fn aggregate_functions() -> Vec<AggregateUDF> {
    vec![AggregateUDF::from(percentile::ExactPercentile::new())]
}
