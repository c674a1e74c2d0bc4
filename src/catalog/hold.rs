//! Footers held against the contract: columns, types, NULLs.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use parquet::file::statistics::Statistics;

use super::contract::{ContractColumn, ContractTable, type_name};
use crate::domain::names::{counted, nearest};
use crate::sources::footer::Footer;
use crate::sources::table::widens;

/// How the values of a file's column become the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As they are, or by a conversion that loses nothing whatever the values.
    Always,
    /// By a conversion that loses nothing for some values: they are looked at.
    ByValue,
    /// Not at all.
    Never,
}

/// Returns how a type fits another.
pub(super) fn fit(found: &DataType, wanted: &DataType) -> Fit {
    use DataType as Type;
    if found == wanted {
        return Fit::Always;
    }
    match (found, wanted) {
        (Type::Null, _) => Fit::Always,
        (Type::Dictionary(_, value), wanted) => fit(value, wanted),
        (Type::Utf8 | Type::LargeUtf8 | Type::Utf8View, Type::Utf8View) => Fit::Always,
        (Type::Timestamp(..), Type::Timestamp(..)) => Fit::ByValue,
        (Type::Date64, Type::Date32) => Fit::ByValue,
        (found, Type::Decimal128(..) | Type::Int64 | Type::Float64) if is_number(found) => Fit::ByValue,
        _ => Fit::Never,
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || kind.is_decimal()
}

/// Returns every problem of the files of a table without a contract, whose columns are settled.
pub(super) fn raw_problems(schema: &Schema, footers: &[Footer]) -> Vec<String> {
    let mut problems = Vec::new();
    for footer in footers {
        for wanted in schema.fields() {
            let name = wanted.name();
            if let Ok(field) = footer.schema.field_with_name(name) {
                if !widens(field.data_type(), wanted.data_type()) {
                    problems.push(type_conflict(&footer.file.label, name, field.data_type(), wanted.data_type()));
                }
            } else if let Some(Err(problem)) = footer.file.partition_value(name, wanted.data_type()) {
                problems.push(format!("{problem}: expected {}", type_name(wanted.data_type())));
            }
        }
    }
    problems
}

/// Returns the problem of a column that has one type here and another elsewhere.
pub(super) fn type_conflict(label: &str, column: &str, here: &DataType, elsewhere: &DataType) -> String {
    format!(
        "{label}: column \"{column}\" is {} here and {} in other files of the table",
        type_name(here),
        type_name(elsewhere)
    )
}

/// Returns every problem of a table's files.
pub(super) fn problems(table: &ContractTable, footers: &[Footer]) -> Vec<String> {
    footers.iter().flat_map(|footer| problems_of(table, footer)).collect()
}

fn problems_of(table: &ContractTable, footer: &Footer) -> Vec<String> {
    let label = &footer.file.label;
    let mut problems = Vec::new();
    for column in &table.columns {
        let Ok(place) = footer.schema.index_of(&column.name) else {
            if let Some(value) = footer.file.partition_value(&column.name, &column.data_type) {
                problems.extend(problem_of_path(label, column, value));
            } else if !column.is_nullable {
                let others = footer.schema.fields().iter().map(|field| field.name().as_str());
                let unknown = others.filter(|name| !table.columns.iter().any(|column| column.name == *name));
                let hint = nearest(&column.name, unknown)
                    .map_or_else(String::new, |near| format!("; hint: is it \"{near}\"?"));
                problems.push(format!(
                    "{label}: required column \"{}\" ({}) is missing{hint}",
                    column.name,
                    type_name(&column.data_type)
                ));
            }
            continue;
        };
        let found = footer.schema.field(place).data_type();
        if fit(found, &column.data_type) == Fit::Never {
            problems.push(format!(
                "{label}: column \"{}\": expected {}, found {}",
                column.name,
                type_name(&column.data_type),
                type_name(found)
            ));
        } else if let (false, Some(nulls)) =
            (column.is_nullable, null_count(footer, &column.name).filter(|nulls| *nulls > 0))
        {
            problems.push(format!("{label}: required column \"{}\" is NULL in {}", column.name, counted(nulls, "row")));
        }
    }
    problems
}

fn problem_of_path(label: &str, column: &ContractColumn, value: Result<ScalarValue, String>) -> Option<String> {
    match value {
        Ok(value) if value.is_null() && !column.is_nullable => {
            Some(format!("{label}: required column \"{}\" is NULL by its path", column.name))
        }
        Ok(_) => None,
        Err(problem) => Some(format!("{problem}: expected {}", type_name(&column.data_type))),
    }
}

/// Returns how often a column is NULL by the statistics; `None` where they do not say.
pub(super) fn null_count(footer: &Footer, name: &str) -> Option<u64> {
    let descriptor = footer.metadata.file_metadata().schema_descr();
    let place = (0..descriptor.num_columns()).find(|place| {
        let path = descriptor.column(*place);
        path.path().parts().len() == 1 && path.path().parts()[0] == name
    })?;
    if descriptor.column(place).max_def_level() == 0 {
        return Some(0);
    }
    footer
        .metadata
        .row_groups()
        .iter()
        .map(|group| group.column(place).statistics().and_then(Statistics::null_count_opt))
        .sum()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn what_converts_without_loss_fits_and_nothing_is_parsed() {
        let money = DataType::Decimal128(18, 2);
        assert_eq!(fit(&money, &money), Fit::Always);
        assert_eq!(fit(&DataType::Decimal128(38, 4), &money), Fit::ByValue);
        assert_eq!(fit(&DataType::Float64, &money), Fit::ByValue);
        assert_eq!(fit(&DataType::Int32, &DataType::Int64), Fit::ByValue);
        assert_eq!(fit(&DataType::Utf8, &money), Fit::Never);
        assert_eq!(fit(&DataType::Int64, &DataType::Utf8View), Fit::Never);
        assert_eq!(fit(&DataType::Utf8, &DataType::Boolean), Fit::Never);
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8));
        assert_eq!(fit(&text, &DataType::Utf8View), Fit::Always);
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(fit(&nanos, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))), Fit::ByValue);
        assert_eq!(fit(&DataType::Date32, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))), Fit::Never);
    }
}
