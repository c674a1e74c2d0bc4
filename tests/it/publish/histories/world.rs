//! A company whose files, models, settings and clock change, and what is known of its warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, StringArray, TimestampMicrosecondArray};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use topline::domain::clock::Clock;
use topline::engine::Engine;
use topline::lake::Lake;

use super::super::{BY_ENTITY_SIDECAR, BY_ENTITY_SQL, EVER_SIDECAR, EVER_SQL, PAID_SIDECAR, PAID_SQL, Shop};
use crate::project::Table;

/// The metrics: of months, of months and entities, and one that is published whole.
pub const METRICS: [&str; 3] = ["paid", "paid_by_entity", "paid_ever"];

/// The zones of the setting: a payment of midnight belongs to different months.
const ZONES: [&str; 3] = ["UTC", "Pacific/Auckland", "America/Los_Angeles"];

/// The instant that days are counted from: 2026-01-01, two hours before midnight of UTC.
const START_MICROS: i64 = 1_767_304_800_000_000;

/// Payments of the first months, of one customer and the other in turn.
const PAYMENTS_AT_FIRST: usize = 6;

const DAY_MICROS: i64 = 86_400_000_000;

/// A payment.
#[derive(Debug, Clone)]
struct Payment {
    id: String,
    day: i64,
    customer: &'static str,
    cents: i64,
}

/// The company and its warehouse.
pub struct World {
    pub shop: Shop,
    /// The warehouse.
    pub store: Arc<InMemory>,
    /// The payments of each file.
    files: BTreeMap<String, Vec<Payment>>,
    made: usize,
    zone: usize,
    /// Which SQL the metric has; that of 2 has one more column.
    pub variant: usize,
    /// Days since the start.
    pub today: i64,
    /// The closed months.
    pub closed: BTreeSet<String>,
}

impl World {
    pub fn new() -> Self {
        let shop = Shop::new();
        shop.project.remove("billing/payments/first.parquet");
        for (name, sql, sidecar) in
            [("paid_by_entity", BY_ENTITY_SQL, BY_ENTITY_SIDECAR), ("paid_ever", EVER_SQL, EVER_SIDECAR)]
        {
            shop.project.text(&format!("models/metrics/{name}.sql"), sql);
            shop.project.text(&format!("models/metrics/{name}.toml"), sidecar);
        }
        let (store, files, closed) = (Arc::new(InMemory::new()), BTreeMap::new(), BTreeSet::new());
        let mut world = Self { shop, store, files, made: 0, zone: 0, variant: 0, today: 95, closed };
        for (day, customer) in (3..).step_by(16).zip(0..PAYMENTS_AT_FIRST) {
            world.pay(day, customer, 10_000);
        }
        world
    }

    /// Opens an engine over a store that leads to the warehouse, as of today.
    pub async fn open(&self, store: Arc<dyn ObjectStore>) -> Engine {
        let as_of = START_MICROS + self.today * DAY_MICROS;
        let as_of = chrono::DateTime::from_timestamp_micros(as_of).expect("an instant").to_rfc3339();
        let variables = [("TOPLINE_REPORTING_AS_OF", as_of.as_str()), ("TOPLINE_REPORTING_TIMEZONE", ZONES[self.zone])];
        let mut config = self.shop.project.config(&variables).expect("a right configuration");
        config.limits.threads = 1;
        let lake = Lake::over(store, "memory".to_owned()).expect("a lake");
        Engine::open_over(config, Clock::System, lake).await.expect("the project opens")
    }

    /// Adds a file with a payment.
    pub fn pay(&mut self, day: i64, customer: usize, cents: i64) {
        self.made += 1;
        let payment = Payment { id: format!("p{}", self.made), day, customer: ["b1", "b2"][customer % 2], cents };
        let name = format!("f{}", self.made);
        self.write(&name, vec![payment]);
    }

    /// Writes a file again in which a payment has other cents.
    pub fn change(&mut self, file: usize, cents: i64) {
        let name = self.name(file);
        let mut payments = self.files[&name].clone();
        payments[0].cents = cents;
        self.write(&name, payments);
    }

    /// Takes a file away, but for the last.
    pub fn delete(&mut self, file: usize) {
        if self.files.len() > 1 {
            let name = self.name(file);
            self.remove(&name);
        }
    }

    /// Writes all payments into one file.
    pub fn compact(&mut self) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        let all = self.files.values().flatten().cloned().collect();
        self.made += 1;
        let whole = format!("f{}", self.made);
        self.write(&whole, all);
        names.iter().for_each(|name| self.remove(name));
    }

    /// Merges an account into another, or takes that back.
    pub fn merge(&self, is_merged: bool) {
        self.shop.merge(is_merged);
    }

    /// Changes the SQL of a metric; one of the variants has one more column.
    pub fn write_sql(&mut self, variant: usize) {
        self.variant = variant % 3;
        let count = "    count(*) as payments,";
        let (sql, sidecar) = match self.variant {
            0 => (PAID_SQL.to_owned(), PAID_SIDECAR.to_owned()),
            1 => (PAID_SQL.replace("sum(amount)", "sum(amount) / 2"), PAID_SIDECAR.to_owned()),
            _ => (
                PAID_SQL.replace(count, &format!("{count}\n    min(amount) as least,")),
                PAID_SIDECAR
                    .replace("how many\"],", "how many\"],\n    [\"least\", \"money\", \"the least of them\"],"),
            ),
        };
        self.shop.project.text("models/metrics/paid.sql", &sql);
        self.shop.project.text("models/metrics/paid.toml", &sidecar);
    }

    /// Changes the setting of the time zone.
    pub fn set_zone(&mut self, zone: usize) {
        self.zone = zone % ZONES.len();
    }

    fn name(&self, file: usize) -> String {
        self.files.keys().nth(file % self.files.len()).expect("a file").clone()
    }

    fn remove(&mut self, name: &str) {
        self.files.remove(name);
        self.shop.project.remove(&format!("billing/payments/{name}.parquet"));
    }

    fn write(&mut self, name: &str, payments: Vec<Payment>) {
        let text = |of: fn(&Payment) -> &str| -> ArrayRef {
            Arc::new(payments.iter().map(|payment| Some(of(payment))).collect::<StringArray>())
        };
        let at = payments.iter().map(|payment| Some(START_MICROS + payment.day * DAY_MICROS));
        let at: TimestampMicrosecondArray = at.collect();
        let amounts: Decimal128Array = payments.iter().map(|payment| Some(i128::from(payment.cents))).collect();
        let table = Table::new()
            .with("payment_id", text(|payment| &payment.id))
            .with("customer_id", text(|payment| payment.customer))
            .with("status", text(|_| "succeeded"))
            .with("currency", text(|_| "USD"))
            .with("paid_at", Arc::new(at.with_timezone("UTC")))
            .with("amount", Arc::new(amounts.with_precision_and_scale(18, 2).expect("a decimal type")));
        self.shop.project.parquet(&format!("billing/payments/{name}.parquet"), &table);
        self.files.insert(name.to_owned(), payments);
    }
}
