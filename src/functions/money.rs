//! Money to the cent as SQL functions, in exact arithmetic.
//!
//! | function | returns |
//! | --- | --- |
//! | `item_mrr(unit_amount, quantity, discount_pct, interval, interval_count)` | monthly amount of a subscription item, rounded once to cents; may be negative |
//! | `cent_share(total, share_before, share_up_to)` | what a share of a total gets by the cent rule: `C(up_to) - C(before)` |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The type of money everywhere.
pub const MONEY: DataType = DataType::Decimal128(18, 2);

/// Returns the cents of `share` of `total`: to 6 places and then to cents, half away from zero both times.
///
/// `total` is in cents. The first rounding takes away the noise of the double, so that a half cent is a half cent.
pub fn cents_of_share(total: i64, share: f64) -> i64 {
    let micros = (total as f64 * share * 10_000.0).round();
    (micros / 10_000.0).round() as i64
}

/// Returns the monthly amount of an item in cents, half away from zero; `None` on overflow or an unknown interval.
///
/// `unit_amount` and `quantity` have 4 places, `discount_pct` has 4. A month has 52/12 weeks and 365/12 days.
fn item_cents(
    unit_amount: i128,
    quantity: i128,
    discount_pct: i128,
    interval: &str,
    interval_count: i64,
) -> Option<i128> {
    let (times, per) = match interval {
        "month" => (1, 1),
        "year" => (1, 12),
        "week" => (52, 12),
        "day" => (365, 12),
        _ => return None,
    };
    if interval_count <= 0 {
        return None;
    }
    let kept = 1_000_000_i128.checked_sub(discount_pct)?;
    let numerator = i256::from_i128(unit_amount)
        .checked_mul(i256::from_i128(quantity))?
        .checked_mul(i256::from_i128(kept))?
        .checked_mul(i256::from_i128(times))?;
    // 4 + 4 places, 6 places of the share that is kept, less the 2 places of cents.
    let denominator = i256::from_i128(1_000_000_000_000)
        .checked_mul(i256::from_i128(per))?
        .checked_mul(i256::from_i128(i128::from(interval_count)))?;
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    let twice = rest.checked_abs()?.checked_mul(i256::from_i128(2))?;
    let step = match (twice >= denominator, numerator < i256::ZERO) {
        (true, true) => -1,
        (true, false) => 1,
        (false, _) => 0,
    };
    quotient.to_i128()?.checked_add(step)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    ItemMrr,
    CentShare,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MoneyFunction {
    name: &'static str,
    rule: Rule,
    signature: Signature,
}

/// Returns the functions on money.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let item = vec![
        DataType::Decimal128(18, 4),
        DataType::Decimal128(18, 4),
        DataType::Decimal128(9, 4),
        DataType::Utf8View,
        DataType::Int64,
    ];
    let share = vec![MONEY, DataType::Float64, DataType::Float64];
    vec![
        ScalarUDF::from(MoneyFunction {
            name: "item_mrr",
            rule: Rule::ItemMrr,
            signature: Signature::exact(item, Volatility::Immutable),
        }),
        ScalarUDF::from(MoneyFunction {
            name: "cent_share",
            rule: Rule::CentShare,
            signature: Signature::exact(share, Volatility::Immutable),
        }),
    ]
}

impl ScalarUDFImpl for MoneyFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(MONEY)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let cents = match self.rule {
            Rule::ItemMrr => item_mrr(&columns)?,
            Rule::CentShare => cent_share(&columns),
        };
        let array: ArrayRef = Arc::new(cents.with_precision_and_scale(18, 2)?);
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// An unreadable interval or a missing amount has no monthly amount (NULL); a missing discount is none.
fn item_mrr(columns: &[ArrayRef]) -> Result<Decimal128Array> {
    let unit_amounts = columns[0].as_primitive::<Decimal128Type>();
    let quantities = columns[1].as_primitive::<Decimal128Type>();
    let discounts = columns[2].as_primitive::<Decimal128Type>();
    let intervals = columns[3].as_string_view();
    let counts = columns[4].as_primitive::<Int64Type>();
    (0..unit_amounts.len())
        .map(|row| {
            let is_known = unit_amounts.is_valid(row)
                && quantities.is_valid(row)
                && intervals.is_valid(row)
                && counts.is_valid(row);
            if !is_known || counts.value(row) <= 0 || !["day", "week", "month", "year"].contains(&intervals.value(row))
            {
                return Ok(None);
            }
            let discount = if discounts.is_valid(row) { discounts.value(row) } else { 0 };
            item_cents(
                unit_amounts.value(row),
                quantities.value(row),
                discount,
                intervals.value(row),
                counts.value(row),
            )
            .map(Some)
            .ok_or_else(|| exec_datafusion_err!("the monthly amount of a subscription item is out of range"))
        })
        .collect()
}

fn cent_share(columns: &[ArrayRef]) -> Decimal128Array {
    let totals = columns[0].as_primitive::<Decimal128Type>();
    let before = columns[1].as_primitive::<Float64Type>();
    let up_to = columns[2].as_primitive::<Float64Type>();
    (0..totals.len())
        .map(|row| {
            let is_known = totals.is_valid(row) && before.is_valid(row) && up_to.is_valid(row);
            let total = i64::try_from(totals.value(row)).ok()?;
            is_known
                .then(|| i128::from(cents_of_share(total, up_to.value(row)) - cents_of_share(total, before.value(row))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cent_over_two_touches_goes_to_the_first() {
        assert_eq!(cents_of_share(1, 0.5), 1);
        assert_eq!(cents_of_share(1, 1.0) - cents_of_share(1, 0.5), 0);
        assert_eq!(cents_of_share(-1, 0.5), -1);
    }

    #[test]
    fn a_monthly_amount_is_rounded_once_half_away_from_zero() {
        let (unit, one) = (1_000_000, 10_000);
        assert_eq!(item_cents(unit, one, 0, "month", 1), Some(10_000));
        assert_eq!(item_cents(unit, one, 0, "year", 1), Some(833));
        assert_eq!(item_cents(unit, one, 0, "week", 2), Some(21_667));
        assert_eq!(item_cents(unit, one, 0, "day", 1), Some(304_167));
        assert_eq!(item_cents(50, one, 0, "month", 1), Some(1));
        assert_eq!(item_cents(-50, one, 0, "month", 1), Some(-1));
        assert_eq!(item_cents(unit, one, 1_000_000, "month", 1), Some(0));
        assert_eq!(item_cents(unit, one, 0, "fortnight", 1), None);
    }
}
