//! The records that numbers are made of: they add up, and taking one away takes its part away.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use topline::engine::{Engine, Session};
use topline::metrics::parts::Measure;

use crate::project::Project;
use crate::support::{batches, sample};

/// Records that are taken away, one after the other.
const RECORDS_TAKEN: usize = 50;

/// Tables that they are of at the least.
const TABLES_TAKEN: usize = 6;

/// What chooses them; any other does as well.
const SEED: u64 = 7;

/// A row as texts, NULL as nothing.
type Row = Vec<Option<String>>;

async fn rows(session: &Session, sql: &str) -> Vec<Row> {
    let text = |column: &ArrayRef, row: usize| {
        (!column.is_null(row)).then(|| array_value_to_string(column, row).expect("a value that can be shown"))
    };
    let mut rows = Vec::new();
    for batch in batches(session, sql).await {
        rows.extend((0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| text(column, row)).collect()));
    }
    rows
}

fn number(text: Option<&Option<String>>) -> Option<f64> {
    text?.as_ref()?.parse().ok()
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

/// A number of a view: a measure, a day of its period, and the condition that leaves one row of the view.
#[derive(Clone)]
struct Number<'models> {
    measure: Measure<'models>,
    day: String,
    filter: Option<String>,
}

impl Number<'_> {
    fn call(&self) -> String {
        let filter =
            self.filter.as_ref().map_or("null".to_owned(), |filter| format!("'{}'", filter.replace('\'', "''")));
        format!("explain_metric('{}', '{}', {filter})", self.measure.dotted(), self.day)
    }

    /// Returns what the view shows; nothing where it has no row, or NULL in it.
    async fn shown(&self, session: &Session) -> Option<f64> {
        let filter = self.measure.filter(self.filter.as_deref()).expect("a filter on dimensions");
        let sql = self.measure.shown_sql(&self.day, &filter).expect("a filter on the key");
        number(rows(session, &sql).await[0].get(1))
    }
}

/// Chooses numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// Returns a number of a measure that is not NULL; nothing where the view shows none.
async fn any_number<'models>(session: &Session, measure: Measure<'models>, dice: &mut Dice) -> Option<Number<'models>> {
    let sidecar = &measure.model.sidecar;
    let dimensions = measure.dimensions();
    let keys: Vec<&String> = sidecar.key.iter().filter(|key| dimensions.contains(key)).collect();
    let columns = keys.iter().fold(String::new(), |columns, key| columns + ", " + key);
    let totals = sidecar.totals.iter().fold(String::new(), |sql, (key, all)| format!("{sql} and {key} <> '{all}'"));
    let sql = format!(
        "select distinct {period}{columns} from {view} where {column} <> 0 and {period} is not null{totals} order by all",
        period = measure.period,
        view = measure.model.id,
        column = measure.column,
    )
    .replace("order by all", &format!("order by {}{columns}", measure.period));
    let shown = rows(session, &sql).await;
    if shown.is_empty() {
        return None;
    }
    let row = &shown[dice.below(shown.len())];
    let conditions: Vec<String> = keys
        .iter()
        .zip(&row[1..])
        .map(|(key, value)| format!("{key} = '{}'", value.as_deref().unwrap_or("(none)").replace('\'', "''")))
        .collect();
    let filter = (!conditions.is_empty()).then(|| conditions.join(" and "));
    Some(Number { measure, day: row[0].clone().expect("a period"), filter })
}

#[tokio::test]
async fn the_records_of_every_number_add_up_to_it() {
    let engine = sample().await;
    let session = engine.session();
    let measures = Measure::all(engine.models());
    assert!(measures.len() > 60, "{}", measures.len());
    let mut broken = Vec::new();
    for measure in &measures {
        let found = rows(&session, &format!("select * from parts_law('{}')", measure.dotted())).await;
        if let Some(row) = found.first() {
            broken.push(format!("{}: {} rows, first {row:?}", measure.dotted(), found.len()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn what_is_explained_adds_up_to_what_the_view_shows() {
    let engine = sample().await;
    let session = engine.session();
    let mut dice = Dice(SEED);
    for measure in Measure::all(engine.models()) {
        let Some(number_shown) = any_number(&session, measure, &mut dice).await else { continue };
        let sums = "count(*), count(distinct table_name || source_key), sum(part), sum(numerator), sum(denominator)";
        let found = rows(&session, &format!("select {sums} from {}", number_shown.call())).await.remove(0);
        assert_eq!(found[0], found[1], "{}: a record stands twice", number_shown.call());
        let part = number(found.get(2)).expect("parts");
        let shown = number_shown.shown(&session).await.expect("a number");
        assert!(is_near(part, shown), "{}: {part} is not {shown}", number_shown.call());
        if measure.is_ratio() {
            let ratio = number(found.get(3)).unwrap_or(0.0) / number(found.get(4)).expect("a denominator");
            assert!(is_near(ratio, shown), "{}: {ratio} is not {shown}", number_shown.call());
        }
    }
}

#[tokio::test]
async fn slices_add_up_to_the_whole() {
    let engine = sample().await;
    let session = engine.session();
    for (metric, dimension, whole) in [
        ("mrr_movements.closing", "segment", "select month, closing from mrr_movements"),
        ("pipeline_created.amount", "owner_id", "select month, amount from pipeline_created"),
        ("revenue.invoiced", "country", "select month, invoiced from revenue"),
    ] {
        let sql = format!(
            "select whole.period, whole.value, slices.value from ({}) as whole \
             left join (select period, sum(value) as value from metric_by('{metric}', '{dimension}') group by period) \
             as slices on slices.period = whole.period where whole.value <> coalesce(slices.value, 0)",
            whole.replacen("month,", "month as period,", 1).replacen(" from", " as value from", 1)
        );
        assert_eq!(rows(&session, &sql).await, Vec::<Row>::new(), "{metric} by {dimension}");
    }
    // A ratio is computed again from what the slice holds.
    let broken = rows(
        &session,
        "select * from metric_by('nrr', 'segment') as slices \
         inner join nrr_by_segment as shown on shown.month = slices.period and shown.segment = slices.slice \
         where abs(slices.value - shown.nrr) > 0.000000001 or (slices.value is null) <> (shown.nrr is null)",
    )
    .await;
    assert_eq!(broken, Vec::<Row>::new());
}

#[tokio::test]
async fn taking_a_record_away_takes_its_part_away() {
    let project = Project::new();
    let folder = project.path("company");
    copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/sample"), &folder);
    let config = topline::config::Config::load(Some(&folder.join("topline.toml")), &Default::default());
    let engine = Engine::open(config.expect("the sample's configuration")).await.expect("the copy opens");
    let session = engine.session();
    let measures: Vec<_> = Measure::all(engine.models());
    let mut dice = Dice(SEED);
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut tries = 0;
    while taken.values().sum::<usize>() < RECORDS_TAKEN || taken.len() < TABLES_TAKEN {
        tries += 1;
        assert!(tries < 20 * RECORDS_TAKEN, "records of {taken:?} only");
        let measure = measures[dice.below(measures.len())];
        let Some(number_shown) = any_number(&session, measure, &mut dice).await else { continue };
        let records = format!(
            "select table_name, source_key, part, effect from {} order by table_name, source_key",
            number_shown.call()
        );
        let mut records = rows(&session, &records).await;
        let record = records.swap_remove(dice.below(records.len()));
        let (table, key) = (record[0].clone().expect("a table"), record[1].clone().expect("a key"));
        let Some((file, columns, values)) = place_of(&session, &number_shown, &table, &key).await else { continue };
        let before = number_shown.shown(&session).await.expect("a number");
        let file = folder.join(file);
        let bytes = fs::read(&file).expect("the table");
        without(&file, &columns, &values);
        let after = number_shown.shown(&session).await;
        fs::write(&file, bytes).expect("the table is put back");
        let moved = after.map(|after| before - after);
        let (expected, moved) = match measure.is_ratio() {
            true => (number(record.get(3)), moved),
            // A sum of nothing is 0.
            false => (number(record.get(2)), Some(moved.unwrap_or(before))),
        };
        let is_right = match (expected, moved) {
            (Some(expected), Some(moved)) => is_near(expected, moved),
            (expected, moved) => expected == moved,
        };
        assert!(is_right, "{} without {table} {key}: {before} to {after:?}, {record:?}", number_shown.call());
        *taken.entry(table).or_default() += 1;
    }
}

/// Returns the file, the columns and the values by which a record is found in it; nothing where taking it away does more
/// than its part says: credit moves to other touches, shared cost to other channels, and a later deal becomes the first.
async fn place_of(
    session: &Session,
    shown: &Number<'_>,
    table: &str,
    key: &str,
) -> Option<(String, Vec<&'static str>, Vec<String>)> {
    let file = format!("{}.parquet", table.replace('.', "/"));
    let view = shown.measure.model.id.name.as_str();
    let one = |column: &'static str| Some((file.clone(), vec![column], vec![key.to_owned()]));
    match table {
        "crm.opportunities" if view.starts_with("cac") || view == "marketing_pnl" => None,
        "crm.opportunities" => one("opportunity_id"),
        "crm.leads" => one("lead_id"),
        "billing.invoices" => one("invoice_id"),
        "billing.refunds" => one("refund_id"),
        "campaign.spend" => {
            Some((file, vec!["spend_date", "campaign_id", "channel", "platform"], vec![key.to_owned()]))
        }
        "finance.costs" if key.contains("(shared)") || ["cac_by_channel", "marketing_pnl"].contains(&view) => None,
        "finance.costs" => Some((file, vec!["month", "department", "category", "channel"], vec![key.to_owned()])),
        "crm.accounts" | "billing.customers" if view == "time_to_revenue_monthly" => None,
        "crm.accounts" | "billing.customers" => {
            let entity = if table == "crm.accounts" { key.to_owned() } else { format!("billing:{key}") };
            let subscriptions = rows(
                session,
                &format!(
                    "select subscription_id from billing.subscriptions inner join core.customer_identity \
                     using (customer_id) where entity_id = '{entity}'"
                ),
            )
            .await;
            let subscriptions = subscriptions.into_iter().flatten().flatten().collect();
            Some(("billing/subscription_items.parquet".to_owned(), vec!["subscription_id"], subscriptions))
        }
        _ => None,
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the sample") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file is copied");
        }
    }
}

/// Writes a table again without the rows whose columns, joined by `|`, are one of the values.
fn without(file: &Path, columns: &[&str], values: &[String]) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).expect("the table"));
    let reader = reader.and_then(|reader| reader.build()).expect("a table that can be read");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
    let mut writer = None;
    let mut gone = 0;
    let target = fs::File::create(file).expect("the table");
    for batch in &batches {
        let writer = writer.get_or_insert_with(|| {
            ArrowWriter::try_new(target.try_clone().expect("a file"), batch.schema(), None).expect("a writer")
        });
        let text = |name: &&str, row: usize| {
            let column = batch.column_by_name(name).expect("a column of the contract");
            if column.is_null(row) { String::new() } else { array_value_to_string(column, row).expect("a text") }
        };
        let keeps = |row: usize| {
            let key: Vec<String> = columns.iter().map(|name| text(name, row)).collect();
            Some(!values.contains(&key.join("|")))
        };
        let mask: BooleanArray = (0..batch.num_rows()).map(keeps).collect();
        gone += mask.false_count();
        writer.write(&filter_record_batch(batch, &mask).expect("fewer rows")).expect("rows are written");
    }
    writer.expect("a table with rows").close().expect("a table that is whole");
    assert!(gone > 0, "{}: no row with {values:?}", file.display());
}
