//! Values that a footer does not settle: whether a conversion loses anything, and NULLs without statistics.

use arrow::array::{Array, ArrayRef};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use datafusion::catalog::Session;
use datafusion::common::DataFusionError;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use super::contract::{ContractColumn, ContractTable, type_name};
use super::hold::{Fit, fit, null_count};
use crate::domain::names::counted;
use crate::sources::Source;
use crate::sources::footer::Footer;
use crate::sources::table::Files;

/// Returns the problems of a file's values; reads only columns whose footer leaves a doubt.
pub async fn problems(state: &dyn Session, source: &Source, table: &ContractTable, footer: &Footer) -> Vec<String> {
    let doubtful: Vec<(usize, &ContractColumn)> = table
        .columns
        .iter()
        .filter_map(|column| {
            let place = footer.schema.index_of(&column.name).ok()?;
            let is_by_value = fit(footer.schema.field(place).data_type(), &column.data_type) == Fit::ByValue;
            let is_null_unknown = !column.is_nullable && null_count(footer, &column.name).is_none();
            (is_by_value || is_null_unknown).then_some((place, column))
        })
        .collect();
    if doubtful.is_empty() {
        return Vec::new();
    }
    match read(state, source, footer, &doubtful).await {
        Ok(problems) => problems,
        Err(cause) => vec![format!("{}: the file cannot be read ({cause})", footer.file.label)],
    }
}

/// Returns the problem of a file whose data cannot be read; reads all of it.
pub async fn unreadable(state: &dyn Session, source: &Source, footer: &Footer) -> Option<String> {
    let files = Files { source, footers: std::slice::from_ref(footer), schema: &footer.schema };
    let read = async {
        let mut batches = execute_stream(files.scan(state, None, None)?, state.task_ctx())?;
        while batches.try_next().await?.is_some() {}
        Ok::<_, DataFusionError>(())
    };
    match read.await {
        Ok(()) => None,
        Err(_) => Some(format!("{}: the data is corrupt; hint: write the file again", footer.file.label)),
    }
}

async fn read(
    state: &dyn Session,
    source: &Source,
    footer: &Footer,
    doubtful: &[(usize, &ContractColumn)],
) -> Result<Vec<String>, DataFusionError> {
    let places: Vec<usize> = doubtful.iter().map(|(place, _)| *place).collect();
    // One file in its own types and one partition: rows come in the order of the file.
    let files = Files { source, footers: std::slice::from_ref(footer), schema: &footer.schema };
    let mut batches = execute_stream(files.scan(state, Some(&places), None)?, state.task_ctx())?;
    let mut faults: Vec<Fault> = doubtful.iter().map(|_| Fault::default()).collect();
    let mut rows_before = 0;
    while let Some(batch) = batches.try_next().await? {
        for ((values, (_, column)), fault) in batch.columns().iter().zip(doubtful).zip(&mut faults) {
            fault.look(values, column, rows_before)?;
        }
        rows_before += batch.num_rows();
    }
    let columns = doubtful.iter().map(|(_, column)| column);
    Ok(columns.zip(faults).flat_map(|(column, fault)| fault.problems(&footer.file.label, column)).collect())
}

/// What is wrong with a column: how many values, and the first of them.
#[derive(Debug, Default)]
struct Fault {
    lossy: usize,
    first: Option<(usize, String)>,
    nulls: usize,
}

impl Fault {
    fn look(
        &mut self,
        values: &ArrayRef,
        column: &ContractColumn,
        rows_before: usize,
    ) -> Result<(), arrow::error::ArrowError> {
        if !column.is_nullable {
            self.nulls += values.logical_null_count();
        }
        let lossy = lossy_rows(values, &column.data_type)?;
        if let (None, Some(row)) = (&self.first, lossy.first()) {
            self.first = Some((rows_before + row + 1, array_value_to_string(values, *row)?));
        }
        self.lossy += lossy.len();
        Ok(())
    }

    fn problems(self, label: &str, column: &ContractColumn) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some((row, value)) = self.first {
            problems.push(format!(
                "{label}: column \"{}\" does not fit {} without loss in {}, the first is {value} in row {row}",
                column.name,
                type_name(&column.data_type),
                counted(self.lossy as u64, "row")
            ));
        }
        if self.nulls > 0 {
            problems.push(format!(
                "{label}: required column \"{}\" is NULL in {}",
                column.name,
                counted(self.nulls as u64, "row")
            ));
        }
        problems
    }
}

/// Returns the rows whose values do not come back from the other type as they went in.
fn lossy_rows(values: &ArrayRef, wanted: &DataType) -> Result<Vec<usize>, arrow::error::ArrowError> {
    let found = values.data_type();
    if found == wanted || matches!(found, DataType::Null) {
        return Ok(Vec::new());
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let there = cast_with_options(values, wanted, &options)?;
    let back = cast_with_options(&there, found, &options)?;
    let is_same = not_distinct(&back, values)?;
    Ok((0..values.len()).filter(|row| !is_same.value(*row)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float64Array, Int64Array, TimestampNanosecondArray};
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn lossy(values: impl Array + 'static, wanted: &DataType) -> Vec<usize> {
        lossy_rows(&(Arc::new(values) as ArrayRef), wanted).expect("a cast")
    }

    #[test]
    fn a_value_that_would_be_rounded_is_lossy() {
        let money = DataType::Decimal128(18, 2);
        assert_eq!(
            lossy(Float64Array::from(vec![Some(0.1), Some(0.125), None, Some(1e30), Some(f64::NAN)]), &money),
            [1, 3, 4]
        );
        let wide =
            Decimal128Array::from(vec![10_000, 10_500, 10_001]).with_precision_and_scale(38, 4).expect("a decimal");
        assert_eq!(lossy(wide, &money), [2]);
        assert_eq!(lossy(Int64Array::from(vec![i64::MAX, 1]), &money), [0]);
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(lossy(TimestampNanosecondArray::from(vec![1_000, 1_001]), &instant), [1]);
    }
}
