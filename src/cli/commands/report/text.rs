//! The report as a page of 80 columns.

use super::Report;
use super::channels::{Channel, total};
use super::figures::{Figure, Unit};
use crate::cli::output::numbers::{grouped, percent, sparkline};
use crate::cli::output::style::Style;

/// The width of the page: that of the narrowest terminal that people use.
const WIDTH: usize = 80;

/// What stands for a figure that there is none of.
const NONE: &str = "–";

/// The columns by channel.
const CHANNEL_COLUMNS: [&str; 7] = ["channel", "ad spend", "cost", "new cust.", "CAC", "revenue", "ROAS"];

/// The longest name of a channel that is shown whole.
const CHANNEL_WIDTH_MAX: usize = 18;

/// Returns the page.
pub(super) fn page(report: &Report, style: Style) -> String {
    let mut page = head(report, style);
    let mut section = "";
    for figure in &report.figures {
        if figure.section != section {
            section = figure.section;
            page.push_str(&heading(report, section, style));
        }
        page.push_str(&line(figure, style));
    }
    page.push_str(&channel_table(report, style));
    for unavailable in &report.unavailable {
        let missing = unavailable.missing.join(", ");
        page.push_str(&format!("{} metrics.{} needs {missing}, which is missing\n", NONE, unavailable.view));
    }
    page
}

fn head(report: &Report, style: Style) -> String {
    let title = format!("Revenue in {}", report.month.words());
    let origin = format!("{}, {}", report.currency, report.timezone);
    let gap = " ".repeat(WIDTH.saturating_sub(title.chars().count() + origin.chars().count()));
    let mut text = format!("{}{gap}{}\n", style.strong(&title), style.faint(&origin));
    if !report.is_complete {
        let note = format!("open month: it has not ended at {}, its figures still move", report.as_of);
        text.push_str(&format!("{}\n", style.caution(&note)));
    }
    text
}

fn heading(report: &Report, section: &str, style: Style) -> String {
    let open = if report.is_complete { "" } else { "*" };
    let month = format!("{}{open}", report.month);
    let text = format!("{section:<30}{month:>16}{:>16}  12 months", report.month.plus(-1).to_string());
    format!("\n{}\n", style.strong(&text))
}

fn line(figure: &Figure, style: Style) -> String {
    let trend: Vec<_> = figure.trend.iter().map(|point| point.value).collect();
    let values = format!("{:>16}{:>16}", value(figure.value, figure.unit), value(figure.previous, figure.unit));
    let text = format!("{:<30}{values}  {}", figure.label, style.faint(&sparkline(&trend)));
    format!("{}\n", text.trim_end())
}

fn value(value: Option<f64>, unit: Unit) -> String {
    match (value.filter(|value| value.is_finite()), unit) {
        (None, _) => NONE.to_owned(),
        (Some(value), Unit::Money) => grouped(value, 2),
        (Some(value), Unit::Ratio) => percent(value),
        (Some(value), Unit::Count) => grouped(value, 0),
        (Some(value), Unit::Days) => grouped(value, 1),
    }
}

/// Returns the table by channel: money to the cent where that fits the page, else in whole units.
fn channel_table(report: &Report, style: Style) -> String {
    let mut text = format!("\n{}\n", style.strong(&format!("By channel, model {}", report.cac_model)));
    if report.channels.is_empty() {
        text.push_str(&format!("{NONE}\n"));
        return text;
    }
    let all = total(&report.channels);
    let rows = |places: usize| -> Vec<[String; 7]> {
        report.channels.iter().chain([&all]).map(|channel| cells(channel, places)).collect()
    };
    let mut cells = rows(2);
    if widths(&cells).iter().sum::<usize>() + 2 * (CHANNEL_COLUMNS.len() - 1) > WIDTH {
        cells = rows(0);
    }
    let widths = widths(&cells);
    text.push_str(&style.faint(&row(&CHANNEL_COLUMNS.map(str::to_owned), &widths)));
    text.push('\n');
    for cells in &cells {
        text.push_str(&row(cells, &widths));
        text.push('\n');
    }
    text
}

fn cells(channel: &Channel, places: usize) -> [String; 7] {
    let optional = |value: Option<f64>, places| value.map_or_else(|| NONE.to_owned(), |value| grouped(value, places));
    let mut name: String = channel.channel.chars().filter(|letter| !letter.is_control()).collect();
    if name.chars().count() > CHANNEL_WIDTH_MAX {
        name = name.chars().take(CHANNEL_WIDTH_MAX - 1).chain(['…']).collect();
    }
    [
        name,
        grouped(channel.ad_spend, places),
        grouped(channel.acquisition_cost, places),
        grouped(channel.new_customers, 2),
        optional(channel.cac, places),
        grouped(channel.revenue, places),
        optional(channel.roas, 2),
    ]
}

fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    let mut widths = CHANNEL_COLUMNS.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn row(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let mut text = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        match index {
            0 => text.push_str(&format!("{cell:<width$}")),
            _ => text.push_str(&format!("  {cell:>width$}")),
        }
    }
    text
}
