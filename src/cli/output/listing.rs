//! Lists that a command makes itself: few rows of texts, as wide as the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::cli::terminal::Terminal;

/// The widest that a list is on a wide terminal: longer lines are hard to read.
const WIDTH_MAX: usize = 140;

/// Spaces before and after a column.
const PADDING: (u16, u16) = (0, 2);

/// Which way a column leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Lean {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// What becomes of a text that the terminal is too narrow for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Overflow {
    /// It is cut.
    Cut,
    /// It goes on in the next line.
    Break,
}

/// Returns a list; where the terminal is too narrow, its last column gives way.
pub(in crate::cli) fn listing(
    terminal: &Terminal,
    columns: &[(&str, Lean)],
    rows: Vec<Vec<String>>,
    overflow: Overflow,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_truncation_indicator("…");
    table.set_header(columns.iter().map(|(name, _)| *name));
    for cells in rows {
        let mut row = Row::from(cells);
        if overflow == Overflow::Cut {
            row.max_height(1);
        }
        table.add_row(row);
    }
    for (column, (_, lean)) in table.column_iter_mut().zip(columns) {
        column.set_padding(PADDING);
        if *lean == Lean::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if column.index + 1 < columns.len() {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = terminal.width() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width.min(WIDTH_MAX)).unwrap_or(u16::MAX));
    }
    let mut text = String::new();
    for (index, line) in table.trim_fmt().lines().enumerate() {
        let line = if index == 0 { terminal.out.style.strong(line) } else { line.to_owned() };
        text.push_str(&line);
        text.push('\n');
    }
    text
}
