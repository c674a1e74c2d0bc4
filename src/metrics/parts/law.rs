//! The law that goes without saying: the records of a number add up to it.

use std::fmt::Write;

use super::Measure;
use super::rows::{Besides, NONE};
use crate::models::sidecar::ColumnKind;

impl Measure<'_> {
    /// Returns the SQL of the rows of the view that are not what their records add up to: none where all is right.
    pub fn law_sql(&self) -> String {
        let dimensions = self.dimensions();
        let keys: Vec<&String> = self.model.sidecar.key.iter().filter(|name| *name != self.period).collect();
        let shared: Vec<&String> = keys.iter().copied().filter(|name| dimensions.contains(name)).collect();
        let columns = shared.iter().map(|name| (*name).clone()).collect();
        let rows = self.rows_sql(&Besides { columns, ..Besides::default() }, None);
        let list = |prefix: &str| shared.iter().fold(String::new(), |list, name| list + ", " + prefix + name);
        let sums = "sum(numerator) as numerator, sum(denominator) as denominator";
        let mut parts = format!("select period{}, {sums} from part_rows group by period{}", list(""), list(""));
        for (total, value) in self.model.sidecar.totals.iter().filter(|(total, _)| shared.contains(total)) {
            let columns = list("").replace(&format!(", {total}"), &format!(", '{value}' as {total}"));
            let groups = list("").replace(&format!(", {total}"), "");
            let _ = write!(parts, " union all select period{columns}, {sums} from part_rows group by period{groups}");
        }
        // A view whose further keys the records do not have is held against them in sums.
        let is_finer = shared.len() < keys.len();
        let texts = shared
            .iter()
            .fold(String::new(), |list, name| format!("{list}, coalesce(cast({name} as varchar), '{NONE}') as {name}"));
        let groups = (1..=shared.len() + 1).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
        let (value, grouped) = match is_finer {
            true => (format!("sum({})", self.column), format!(" group by {groups}")),
            false => (self.column.to_owned(), String::new()),
        };
        let on = shared.iter().fold("(parts.period is not distinct from shown.period)".to_owned(), |on, name| {
            format!("{on} and parts.{name} = shown.{name}")
        });
        let keys = shared
            .iter()
            .fold(String::new(), |list, name| format!("{list}, coalesce(shown.{name}, parts.{name}) as {name}"));
        format!(
            "with part_rows as ({rows}), parts as ({parts}), \
             shown as (select {period} as period{texts}, {value} as value from {view}{grouped}) \
             select coalesce(shown.period, parts.period) as period{keys}, shown.value, \
             parts.numerator, parts.denominator from shown full outer join parts on {on} where {broken}",
            period = self.period,
            view = self.model.id,
            broken = self.broken(),
        )
    }

    fn broken(&self) -> String {
        if self.is_ratio() {
            let value = "cast(parts.numerator as double) / nullif(cast(parts.denominator as double), 0)";
            let value = format!("coalesce({value}, case when parts.denominator <> 0 then 0 end)");
            return format!(
                "(shown.value is null) <> ({value} is null) \
                 or abs(shown.value - {value}) > 0.000000001 * greatest(1, abs(shown.value))"
            );
        }
        match self.kind {
            ColumnKind::Money | ColumnKind::Count => {
                "coalesce(shown.value, 0) <> coalesce(parts.numerator, 0)".to_owned()
            }
            _ => "abs(coalesce(shown.value, 0) - coalesce(parts.numerator, 0)) \
                  > 0.000000001 * greatest(1, abs(coalesce(shown.value, 0)))"
                .to_owned(),
        }
    }
}
