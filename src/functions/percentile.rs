//! `exact_percentile(x, p)`: the percentile of all values, interpolated linearly between neighbours.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

/// The aggregate function; NULL over no values.
///
/// With the n values sorted and numbered from 0, it is the value at `p * (n - 1)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ExactPercentile {
    signature: Signature,
}

impl ExactPercentile {
    /// Returns the function.
    pub fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Float64, DataType::Float64], Volatility::Immutable) }
    }
}

impl Default for ExactPercentile {
    fn default() -> Self {
        Self::new()
    }
}

impl AggregateUDFImpl for ExactPercentile {
    fn name(&self) -> &str {
        "exact_percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let share = arguments.exprs.get(1).and_then(|share| share.downcast_ref::<Literal>()).map(Literal::value);
        match share {
            Some(ScalarValue::Float64(Some(share))) if (0.0..=1.0).contains(share) => {
                Ok(Box::new(Percentile { share: *share, values: Vec::new() }))
            }
            _ => plan_err!("exact_percentile(x, p): p is a literal from 0 to 1"),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let values = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
        Ok(vec![Arc::new(Field::new(format!("{}_values", arguments.name), values, true))])
    }
}

#[derive(Debug)]
struct Percentile {
    share: f64,
    values: Vec<f64>,
}

impl Accumulator for Percentile {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.values.extend(columns[0].as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.values.sort_by(f64::total_cmp);
        Ok(ScalarValue::Float64(interpolate(&self.values, self.share)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = std::mem::take(&mut self.values);
        let field = Arc::new(Field::new_list_field(DataType::Float64, true));
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::new(field, offsets, Arc::new(Float64Array::from(values)), None);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.values.extend(values.as_primitive::<Float64Type>().iter().flatten());
        }
        Ok(())
    }
}

/// Returns the value at `share` of the way through sorted values.
fn interpolate(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor()))
}

#[cfg(test)]
mod tests {
    use super::interpolate;

    #[test]
    fn a_percentile_lies_between_its_neighbours() {
        assert_eq!(interpolate(&[], 0.5), None);
        assert_eq!(interpolate(&[3.0], 0.9), Some(3.0));
        assert_eq!(interpolate(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(interpolate(&[1.0, 2.0], 1.0), Some(2.0));
    }
}
