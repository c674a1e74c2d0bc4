//! Metrics computed a second time, in plain Rust from the rows of random small companies, and compared to the cent.
//!
//! Nothing here calls what topline computes with: merges, lookups, periods, rates and rounding are written again from
//! the definitions, in whole numbers and fractions. The companies are always the same; `PROPTEST_CASES` asks for more
//! of them and `PROPTEST_RNG_SEED` for others.

mod attribution;
mod calendar;
mod cases;
mod company;
mod exact;
mod generate;
mod identity;
mod recurring;
mod tables;
mod time_to_revenue;

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use self::company::Company;
use self::generate::{Rest, companies};
use crate::golden;
use crate::support::{batches, session, texts};

/// Companies of a test: enough that every hard case occurs several times, and few enough for some seconds.
const COMPANIES: u32 = 12;

/// Doubles that differ by less, relatively, are equal.
const TOLERANCE: f64 = 1e-9;

/// A row of a view: what must be equal, and doubles.
#[derive(Debug, Clone)]
struct Row {
    cells: Vec<String>,
    doubles: Vec<Option<f64>>,
}

/// A query, how many of its columns tell rows apart, and the rows that it must have.
type Question = (&'static str, usize, fn(&Company) -> Vec<Row>);

fn flag(value: bool) -> String {
    value.to_string()
}

#[test]
fn attribution_equals_plain_arithmetic() {
    assert_equal(Rest::Sales, &[(attribution::SQL, 3, attribution::expected)]);
}

#[test]
fn recurring_revenue_equals_plain_arithmetic() {
    let questions: [Question; 2] =
        [(recurring::SQL, 2, recurring::expected), (recurring::MOVEMENTS_SQL, 1, recurring::expected_movements)];
    assert_equal(Rest::Subscriptions, &questions);
}

#[test]
fn time_to_revenue_equals_plain_arithmetic() {
    assert_equal(Rest::SalesAndPayments, &[(time_to_revenue::SQL, 1, time_to_revenue::expected)]);
}

/// Returns how many companies are tried, and which.
fn config() -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = COMPANIES;
    }
    if let RngSeed::Random = config.rng_seed {
        config.rng_seed = RngSeed::Fixed(7);
    }
    config
}

fn assert_equal(rest: Rest, questions: &[Question]) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let outcome = TestRunner::new(config())
        .run(&companies(rest), |company| runtime.block_on(compare(&company, questions)).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, company)) => panic!("{reason}\n{}", shown(&company)),
        Err(abort) => panic!("{abort}"),
    }
}

async fn compare(company: &Company, questions: &[Question]) -> Result<(), String> {
    let tables = tables::tables(company);
    let tables: Vec<(&str, &str)> = tables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let opened = golden::company(&calendar::shown(company.as_of), &tables).await;
    let (lookback, half_life) = (company.lookback_days.to_string(), company.half_life_days.to_string());
    let settings = [
        ("reporting.timezone", company.zone.name()),
        ("attribution.lookback_days", lookback.as_str()),
        ("attribution.half_life_days", half_life.as_str()),
        ("attribution.touch_scope", if company.has_contact_roles { "contact_roles" } else { "account" }),
    ];
    let session = session(&opened.engine, &settings);
    for (sql, key, expected) in questions {
        let mut found = Vec::new();
        for batch in batches(&session, sql).await {
            let is_double = |column: &usize| *batch.column(*column).data_type() == DataType::Float64;
            let doubles: Vec<usize> = (0..batch.num_columns()).filter(is_double).collect();
            for (row, mut cells) in texts(&batch).into_iter().enumerate() {
                cells.truncate(batch.num_columns() - doubles.len());
                let double = |column: &usize| {
                    let values = batch.column(*column).as_primitive::<Float64Type>();
                    values.is_valid(row).then(|| values.value(row))
                };
                found.push(Row { cells, doubles: doubles.iter().map(double).collect() });
            }
        }
        let differences = differences(*key, &expected(company), &found);
        if !differences.is_empty() {
            return Err(format!("{sql}\n{}", differences.join("\n")));
        }
    }
    Ok(())
}

fn differences(key: usize, expected: &[Row], found: &[Row]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut by_key = |rows: &[Row]| -> BTreeMap<Vec<String>, Row> {
        let mut by_key = BTreeMap::new();
        for row in rows {
            if by_key.insert(row.cells[..key].to_vec(), row.clone()).is_some() {
                differences.push(format!("twice:    {row:?}"));
            }
        }
        by_key
    };
    let (expected, mut found) = (by_key(expected), by_key(found));
    for (key, row) in expected {
        match found.remove(&key) {
            Some(other) if is_equal(&row, &other) => {}
            Some(other) => differences.push(format!("expected: {row:?}\nfound:    {other:?}")),
            None => differences.push(format!("missing:  {row:?}")),
        }
    }
    differences.extend(found.values().map(|row| format!("too much: {row:?}")));
    differences
}

fn is_equal(one: &Row, other: &Row) -> bool {
    let is_close = |pair: (&Option<f64>, &Option<f64>)| match pair {
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(1.0),
        (one, other) => one == other,
    };
    one.cells == other.cells && one.doubles.iter().zip(&other.doubles).all(is_close)
}

fn shown(company: &Company) -> String {
    let mut text = format!(
        "zone {}, as_of {}, lookback {}, half life {}, contact roles {}\n",
        company.zone,
        calendar::shown(company.as_of),
        company.lookback_days,
        company.half_life_days,
        company.has_contact_roles
    );
    for (name, table) in tables::tables(company) {
        text.push_str(&format!("{name}\n{table}\n"));
    }
    text
}
