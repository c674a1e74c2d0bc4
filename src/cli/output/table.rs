//! The first rows of a result as a table for people.

use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;
use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, LineStyle, Row, Table, TableStyle, Width, presets,
};

use super::style::Style;
use super::values;

/// The rows that are shown: what a person reads, and little enough to hold.
pub(in crate::cli) const ROWS_SHOWN_MAX: usize = 100;

/// The widest cell: a longer text would leave no room for the others.
const CELL_WIDTH_MAX: usize = 60;

/// To what texts are cut before columns are left out.
const CELL_WIDTH_MIN: usize = 12;

/// Spaces between two columns.
const GAP: usize = 2;

/// From where on a number is written with its exponent, and below which size it is.
const PLAIN_NUMBERS: std::ops::Range<f64> = 0.0001..1e15;

const LINES: TableStyle = presets::NOTHING.header_separator(LineStyle::none().fill('─'));

/// Collects the first rows of a result.
#[derive(Debug)]
pub(in crate::cli) struct Preview {
    schema: SchemaRef,
    cells: Vec<Vec<Option<String>>>,
}

impl Preview {
    /// Returns one without rows.
    pub(in crate::cli) fn new(schema: SchemaRef) -> Self {
        Self { schema, cells: Vec::new() }
    }

    /// Returns whether no more rows are shown.
    pub(in crate::cli) fn is_full(&self) -> bool {
        self.cells.len() >= ROWS_SHOWN_MAX
    }

    /// Returns how many rows are shown.
    pub(in crate::cli) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Takes in the rows that are still shown.
    ///
    /// # Errors
    /// That of a value that has no text.
    pub(in crate::cli) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let room = ROWS_SHOWN_MAX - self.cells.len();
        let batch = values::in_utc(&batch.slice(0, batch.num_rows().min(room)))?;
        let options = values::readable();
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(formatters.len());
            for (column, formatter) in batch.columns().iter().zip(&formatters) {
                cells.push(if column.is_null(row) {
                    None
                } else {
                    let text = formatter.value(row).try_to_string()?;
                    Some(readable(&text, column.data_type()))
                });
            }
            self.cells.push(cells);
        }
        Ok(())
    }

    /// Returns the table, at most so wide; without a width, as wide as it is.
    pub(in crate::cli) fn render(&self, width: Option<usize>, style: Style) -> String {
        let is_number: Vec<bool> = self.schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        let natural = self.widths();
        let widths = match width {
            Some(width) => fitted(&natural, &is_number, width),
            None => natural.clone(),
        };
        let shown = widths.len();
        let mut table = Table::new();
        table.load_style(LINES).set_truncation_indicator("…");
        if style.is_coloured() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let header = self.schema.fields().iter().take(shown).map(|field| {
            let cell = Cell::new(clean(field.name()));
            if style.is_coloured() { cell.add_attribute(Attribute::Bold) } else { cell }
        });
        table.set_header(one_line(header.collect()));
        for cells in &self.cells {
            let cells = cells.iter().take(shown).map(|cell| match cell {
                Some(text) => Cell::new(text),
                None => Cell::new("NULL").add_attribute(Attribute::Dim),
            });
            table.add_row(one_line(cells.collect()));
        }
        for (column, width) in table.column_iter_mut().zip(&widths) {
            let is_last = column.index + 1 == shown;
            let gap = if is_last { 0 } else { GAP as u16 };
            column.set_padding((0, gap));
            if is_number[column.index] {
                column.set_cell_alignment(CellAlignment::Right);
            }
            let content = u16::try_from(*width).unwrap_or(u16::MAX - gap);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(content + gap)));
        }
        let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let left_out: Vec<_> = self.schema.fields().iter().skip(shown).map(|field| clean(field.name())).collect();
        if !left_out.is_empty() {
            let note = format!("… {} more columns, --format csv shows all: {}", left_out.len(), left_out.join(", "));
            text.push_str(&style.faint(&note));
            text.push('\n');
        }
        text
    }

    /// Returns the width of the widest cell of each column.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.schema.fields().iter().map(|field| width_of(field.name())).collect();
        for cells in &self.cells {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.as_deref().map_or(4, width_of));
            }
        }
        widths.into_iter().map(|width| width.clamp(1, CELL_WIDTH_MAX)).collect()
    }
}

/// Returns the widths with which columns fit, narrowing the widest texts first; those at the end that do not are left out.
fn fitted(natural: &[usize], is_number: &[bool], width: usize) -> Vec<usize> {
    let mut widths = natural.to_vec();
    let total = |widths: &[usize]| widths.iter().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP);
    while total(&widths) > width {
        let widest = (0..widths.len())
            .filter(|index| !is_number[*index] && widths[*index] > CELL_WIDTH_MIN)
            .max_by_key(|index| widths[*index]);
        match widest {
            Some(index) => widths[index] -= 1,
            None => break,
        }
    }
    while widths.len() > 1 && total(&widths) > width {
        widths.pop();
    }
    // What the columns left out would have taken goes back to those that were narrowed.
    while let Some(index) = (0..widths.len()).find(|index| widths[*index] < natural[*index])
        && total(&widths) < width
    {
        widths[index] += 1;
    }
    widths
}

fn one_line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn width_of(text: &str) -> usize {
    let mut table = Table::new();
    table.add_row([text]);
    table.column_max_content_widths().first().map_or(0, |width| usize::from(*width))
}

/// Returns a text without what would move the cursor.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Returns a value as people read it: doubles with four places.
fn readable(text: &str, kind: &DataType) -> String {
    match (kind, text.parse::<f64>()) {
        (DataType::Float16 | DataType::Float32 | DataType::Float64, Ok(number)) => {
            if number == 0.0 || PLAIN_NUMBERS.contains(&number.abs()) {
                format!("{number:.4}")
            } else {
                format!("{number:.4e}")
            }
        }
        _ => clean(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_by_narrowing_texts_before_any_is_left_out() {
        assert_eq!(fitted(&[10, 10], &[true, true], 80), [10, 10]);
        assert_eq!(fitted(&[40, 10], &[false, true], 40), [28, 10]);
        assert_eq!(fitted(&[40, 20, 20], &[false, true, true], 40), [18, 20]);
        assert_eq!(fitted(&[90], &[true], 40), [90]);
    }

    #[test]
    fn doubles_have_four_places_and_no_text_moves_the_cursor() {
        assert_eq!(readable("2726.3316666666665", &DataType::Float64), "2726.3317");
        assert_eq!(readable("0", &DataType::Float64), "0.0000");
        assert_eq!(readable("0.0000001", &DataType::Float64), "1.0000e-7");
        assert_eq!(readable("12.50", &DataType::Decimal128(18, 2)), "12.50");
        assert_eq!(readable("a\u{1b}[31m\nb", &DataType::Utf8), "a [31m b");
    }
}
