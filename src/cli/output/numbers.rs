//! Numbers as people read them.

/// The bars of a trend, from the lowest value to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a number with thousands separators and so many places: `-1,234.50`.
///
/// Exact to the cent below 90 trillion, where a double has fewer digits than the cents need.
pub(in crate::cli) fn grouped(number: f64, places: usize) -> String {
    let text = format!("{:.places$}", number.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let is_zero = text.bytes().all(|digit| digit == b'0' || digit == b'.');
    let mut grouped = String::with_capacity(text.len() + text.len() / 3 + 1);
    if number < 0.0 && !is_zero {
        grouped.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        let is_digit = digit.is_ascii_digit();
        if index > 0 && is_digit && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// Returns a share as a percentage with one place: 0.314 is `31.4 %`.
pub(in crate::cli) fn percent(share: f64) -> String {
    format!("{} %", grouped(share * 100.0, 1))
}

/// Returns a size in the unit that makes it short: `1.5 MB`.
pub(in crate::cli) fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// Returns a bar for each value, from the lowest to the highest; a gap where there is none.
pub(in crate::cli) fn sparkline(values: &[Option<f64>]) -> String {
    let known = || values.iter().flatten().copied().filter(|value| value.is_finite());
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    values
        .iter()
        .map(|value| match value.filter(|value| value.is_finite()) {
            None => ' ',
            Some(_) if high <= low => BARS[BARS.len() / 2 - 1],
            Some(value) => {
                let step = ((value - low) / (high - low) * (BARS.len() - 1) as f64).round();
                BARS[(step as usize).min(BARS.len() - 1)]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_thousands_separators() {
        assert_eq!(grouped(0.0, 2), "0.00");
        assert_eq!(grouped(999.995, 2), "1,000.00");
        assert_eq!(grouped(-1234567.5, 2), "-1,234,567.50");
        assert_eq!(grouped(-0.001, 2), "0.00");
        assert_eq!(grouped(123456.0, 0), "123,456");
        assert_eq!(grouped(-100.0, 0), "-100");
    }

    #[test]
    fn a_share_is_a_percentage_with_one_place() {
        assert_eq!(percent(1.0326), "103.3 %");
        assert_eq!(percent(-0.05), "-5.0 %");
    }

    #[test]
    fn sizes_have_the_unit_that_makes_them_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(bytes(2_000_000_000_000), "2.0 TB");
    }

    #[test]
    fn a_trend_goes_from_its_lowest_to_its_highest_value() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(8.0), Some(f64::NAN)]), "▁ █ ");
        assert_eq!(sparkline(&[Some(2.0), Some(2.0)]), "▄▄");
        assert_eq!(sparkline(&[None, None]), "  ");
        assert_eq!(sparkline(&[Some(-1.0), Some(0.0), Some(1.0)]), "▁▅█");
    }
}
