//! What the items of one entity come to, period by period.

use super::{Item, Rates};

/// Names of movements, in the order of their numbers.
pub(super) const MOVEMENTS: [&str; 6] = ["none", "new", "reactivation", "churn", "expansion", "contraction"];

/// A rate of 1.
pub(super) const RATE_ONE: i128 = 100_000_000;

/// What one entity and period come to, in cents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) entity: u32,
    pub(super) movement: u32,
    pub(super) opening: i128,
    pub(super) change: i128,
    pub(super) closing: i128,
    pub(super) year_before: i128,
    pub(super) year_before_now: i128,
    pub(super) closing_at_first: i128,
    pub(super) first: i32,
    pub(super) period: i32,
}

/// How far the periods go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The last period.
    pub(super) last: i32,
    /// Periods of a year, where rows look back on the same period a year before.
    pub(super) per_year: Option<i32>,
}

/// Rounds a sum with 10 places to cents, half away from zero.
fn cents(sum: i128) -> i128 {
    (sum + sum.signum() * RATE_ONE / 2) / RATE_ONE
}

/// Adds the periods of one entity.
pub(super) fn add_periods(items: &[Item], rates: &[Rates], span: Span, rows: &mut Vec<Row>) {
    let Some(earliest) = items.iter().map(|item| item.first).min() else { return };
    let last_active = items.iter().map(|item| item.last).max().unwrap_or(earliest);
    // What an entity had is looked back on one period later, or a year later.
    let last = span.last.min(last_active + span.per_year.unwrap_or(1));
    let sum_at = |of_period: i32, rates_of: i32| -> i128 {
        let counting = items.iter().filter(|item| item.first <= of_period && of_period <= item.last);
        counting.map(|item| i128::from(item.cents) * rates[item.currency as usize].of(rates_of)).sum()
    };
    let mut first_active = None;
    for period in earliest..=last {
        let (opening, closing) = (cents(sum_at(period - 1, period - 1)), cents(sum_at(period, period)));
        let moved = cents(sum_at(period, period) - sum_at(period - 1, period));
        let change = if opening == 0 { closing } else { moved };
        let movement = match (opening > 0, closing > 0) {
            (false, false) => 0,
            (false, true) if first_active.is_some() => 2,
            (false, true) => 1,
            (true, false) => 3,
            (true, true) if change > 0 => 4,
            (true, true) if change < 0 => 5,
            (true, true) => 0,
        };
        if closing > 0 {
            first_active.get_or_insert(period);
        }
        let Some(first) = first_active else { continue };
        let closing_at_first = cents(sum_at(period, first));
        let year = span.per_year.map(|count| period - count);
        let year_before = year.map_or(0, |year| cents(sum_at(year, year)));
        if opening > 0 || closing > 0 || year_before > 0 || closing_at_first > 0 {
            let year_before_now = year.map_or(0, |year| cents(sum_at(year, period)));
            rows.push(Row {
                entity: items[0].entity,
                movement,
                opening,
                change,
                closing,
                year_before,
                year_before_now,
                closing_at_first,
                first,
                period,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP_TO_7: Span = Span { last: 7, per_year: Some(12) };

    fn item(currency: u32, cents: i64, first: i32, last: i32) -> Item {
        Item { entity: 0, currency, cents, first, last }
    }

    fn found(items: &[Item], rates: &[Rates], span: Span) -> Vec<Row> {
        let mut rows = Vec::new();
        add_periods(items, rates, span, &mut rows);
        rows
    }

    fn movements(items: &[Item], rates: &[Rates], span: Span) -> Vec<(i32, &'static str, i128, i128, i128)> {
        let rows = found(items, rates, span);
        rows.iter()
            .map(|row| (row.period, MOVEMENTS[row.movement as usize], row.opening, row.change, row.closing))
            .collect()
    }

    #[test]
    fn every_movement_has_its_period() {
        let items = [item(0, 100, 1, 1), item(0, 150, 2, 2), item(0, 120, 3, 4), item(0, 90, 6, 6)];
        let expected = [
            (1, "new", 0, 100, 100),
            (2, "expansion", 100, 50, 150),
            (3, "contraction", 150, -30, 120),
            (4, "none", 120, 0, 120),
            (5, "churn", 120, -120, 0),
            (6, "reactivation", 0, 90, 90),
            (7, "churn", 90, -90, 0),
        ];
        assert_eq!(movements(&items, &[Rates::One], UP_TO_7), expected);
        assert_eq!(movements(&items, &[Rates::One], Span { last: 9, per_year: None }), expected);
    }

    #[test]
    fn a_rate_alone_is_no_movement() {
        let rates = Rates::ByPeriod([(1, RATE_ONE), (2, RATE_ONE * 11 / 10)].into());
        assert_eq!(
            movements(&[item(0, 100, 1, 2)], &[rates], Span { last: 2, ..UP_TO_7 }),
            [(1, "new", 0, 100, 100), (2, "none", 100, 0, 110)]
        );
    }

    #[test]
    fn an_amount_without_a_rate_is_nothing_until_there_is_one() {
        let rates = Rates::ByPeriod([(2, RATE_ONE)].into());
        assert_eq!(movements(&[item(0, 100, 1, 2)], &[rates], Span { last: 2, ..UP_TO_7 }), [(2, "new", 0, 100, 100)]);
    }

    #[test]
    fn a_cohort_keeps_the_rates_of_its_first_period() {
        let rates = Rates::ByPeriod([(1, RATE_ONE), (2, 2 * RATE_ONE), (3, 2 * RATE_ONE)].into());
        let rows = found(&[item(0, 100, 2, 2), item(0, 70, 3, 3)], &[rates], Span { last: 3, ..UP_TO_7 });
        let of_cohort: Vec<_> = rows.iter().map(|row| (row.first, row.closing, row.closing_at_first)).collect();
        assert_eq!(of_cohort, [(2, 200, 200), (2, 140, 140)]);
        let rates = Rates::ByPeriod([(1, RATE_ONE), (2, 2 * RATE_ONE)].into());
        let rows = found(&[item(0, 100, 1, 2)], &[rates], Span { last: 2, ..UP_TO_7 });
        assert_eq!(rows.iter().map(|row| row.closing_at_first).collect::<Vec<_>>(), [100, 100]);
    }
}
