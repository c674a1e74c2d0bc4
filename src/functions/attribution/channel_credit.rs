//! Credit by channel under the models that look at all paths at once: `markov` and `shapley` (definitions, section 4.2).
//!
//! Touches arrive ordered by account and instant. Each account's are cut after each of its conversions; what its paths
//! add to the chain and to the shared conversions is summed, so that memory does not grow with the touches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, StringViewArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{TryStreamExt, stream};
use hashbrown::HashMap;

use super::chain::{Chain, State};
use super::conversions::{Conversions, Inputs};
use super::eligible::{ACCOUNT, TouchColumns, WholeAccounts, rows_by_account};
use super::names::{Names, UNATTRIBUTED};
use crate::functions::identity::numbered::NumberedAccounts;
use crate::functions::money::{MONEY, cents_of_share};
use crate::functions::operator::{Operator, chunks};

/// A share below this is none: it is the noise of the arithmetic.
const SHARE_MIN: f64 = 1e-12;

/// The columns of touches that are read besides the number of the account.
pub const PATH_COLUMNS: [&str; 3] = ["touch_id", "channel", "touched_at"];

/// A model at the grain of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelModel {
    /// Shares by what conversions would lose without the channel.
    Markov,
    /// Each conversion shared by the channels of its path.
    Shapley,
}

impl ChannelModel {
    /// Every model.
    pub const ALL: [Self; 2] = [Self::Markov, Self::Shapley];

    /// Returns the name under which SQL knows the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markov => "markov",
            Self::Shapley => "shapley",
        }
    }
}

/// Returns the columns that come out.
pub fn channel_credit_columns() -> Vec<Field> {
    vec![
        Field::new("month", DataType::Date32, false),
        Field::new("model", DataType::Utf8View, false),
        Field::new("channel", DataType::Utf8View, false),
        Field::new("weight", DataType::Float64, false),
        Field::new("credit", MONEY, false),
    ]
}

/// Credits channels; its children are touches with the number of their account, and the conversions.
#[derive(Debug)]
pub struct ChannelCredit {
    schema: SchemaRef,
    accounts: NumberedAccounts,
    models: Vec<ChannelModel>,
    lookback_micros: i64,
}

impl ChannelCredit {
    /// Returns the operator for these models, whose rows have the columns of `schema`, a part of
    /// [`channel_credit_columns`].
    pub fn new(schema: SchemaRef, accounts: NumberedAccounts, models: Vec<ChannelModel>, lookback_micros: i64) -> Self {
        Self { schema, accounts, models, lookback_micros }
    }
}

impl Operator for ChannelCredit {
    fn name(&self) -> &'static str {
        "ChannelCreditExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn streamed_child(&self) -> Option<usize> {
        None
    }

    fn ordered_child(&self) -> Option<usize> {
        Some(0)
    }

    fn input_order(&self) -> &'static [&'static str] {
        &[ACCOUNT, "touched_at"]
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (touches, schema, models) = (Arc::clone(&children[0]), self.schema(), self.models.clone());
        let inputs = Inputs { conversions: Arc::clone(&children[1]), leads: None, roles: None };
        let (accounts, lookback_micros) = (self.accounts.clone(), self.lookback_micros);
        let rows = stream::once(async move {
            let (conversions, reservation) = Conversions::read(&inputs, lookback_micros, &context).await?;
            let walk = Arc::new(Walk { conversions, accounts, lookback_micros });
            let tasks: Vec<_> = (0..touches.output_partitioning().partition_count())
                .map(|partition| {
                    let touches = touches.execute(partition, Arc::clone(&context))?;
                    let walk = Arc::clone(&walk);
                    Ok(SpawnedTask::spawn(async move { walk.paths(touches).await }))
                })
                .collect::<Result<_>>()?;
            let mut paths = Paths::default();
            for task in tasks {
                paths.merge(task.join().await.map_err(|cause| DataFusionError::Execution(cause.to_string()))??);
            }
            let channels = paths.names.len();
            // The equations of the chain, which are as many as channels.
            reservation.try_grow(channels * channels * size_of::<f64>())?;
            let batch = credit(&paths, &models, &walk.conversions)?.batch(&schema)?;
            let batches = chunks(&batch, context.session_config().batch_size())?;
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(Ok)))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// What the paths of some accounts add up to.
#[derive(Debug, Default)]
struct Paths {
    names: Names,
    chain: Chain,
    /// Weight and cents under `shapley` by month and channel.
    shared: HashMap<(i32, u32), (f64, i64)>,
    /// The conversions that have a path.
    converted: Vec<u32>,
}

impl Paths {
    fn merge(&mut self, other: Self) {
        let numbers: Vec<u32> = other.names.iter().map(|name| self.names.number(name)).collect();
        self.chain.merge(&other.chain, &numbers);
        for ((month, channel), (weight, cents)) in other.shared {
            let sum = self.shared.entry((month, numbers[channel as usize])).or_default();
            sum.0 += weight;
            sum.1 += cents;
        }
        self.converted.extend(other.converted);
    }

    /// Shares a conversion equally by the distinct channels of its path, in the order of their names.
    fn share(&mut self, path: &[u32], month: i32, value: i64) {
        let mut channels = path.to_vec();
        channels.sort_unstable();
        channels.dedup();
        channels.sort_unstable_by(|one, other| self.names.name(*one).cmp(self.names.name(*other)));
        let count = channels.len() as f64;
        for (place, channel) in channels.into_iter().enumerate() {
            let (before, up_to) = (place as f64 / count, (place + 1) as f64 / count);
            let sum = self.shared.entry((month, channel)).or_default();
            sum.0 += 1.0 / count;
            sum.1 += cents_of_share(value, up_to) - cents_of_share(value, before);
        }
    }
}

/// What the walk over the touches knows.
struct Walk {
    conversions: Conversions,
    accounts: NumberedAccounts,
    lookback_micros: i64,
}

impl Walk {
    async fn paths(&self, mut touches: SendableRecordBatchStream) -> Result<Paths> {
        let (mut paths, mut accounts) = (Paths::default(), WholeAccounts::default());
        while let Some(batch) = touches.try_next().await? {
            for whole in accounts.take_in(&batch)? {
                self.walk(&whole, &mut paths)?;
            }
        }
        if let Some(last) = accounts.finish()? {
            self.walk(&last, &mut paths)?;
        }
        Ok(paths)
    }

    /// Adds the paths of the accounts of a batch, each of which is there whole.
    fn walk(&self, touches: &RecordBatch, paths: &mut Paths) -> Result<()> {
        let columns = TouchColumns::of(touches)?;
        let Some(channels) = columns.channels else { return internal_err!("a path is made of channels") };
        let months = self.conversions.months()?;
        for (number, rows) in rows_by_account(touches) {
            let order = columns.in_order(rows);
            let mut path_of = |places: Range<usize>| -> Vec<u32> {
                order[places].iter().map(|row| paths.names.number(channels.value(*row as usize))).collect()
            };
            let mut found = Vec::new();
            let after = self.each_conversion(number, &order, &columns, |conversion, places| {
                if !places.is_empty() {
                    found.push((conversion, path_of(places)));
                }
            })?;
            let rest = path_of(after..order.len());
            for (conversion, path) in found {
                paths.chain.add(&path, State::Conversion);
                paths.share(&path, months.value(conversion), self.conversions.values[conversion]);
                paths.converted.push(conversion as u32);
            }
            paths.chain.add(&rest, State::Null);
        }
        Ok(())
    }

    /// Calls `take` with each conversion of an account and the places of its path; returns the place after the last.
    fn each_conversion(
        &self,
        number: u32,
        order: &[u32],
        columns: &TouchColumns,
        mut take: impl FnMut(usize, Range<usize>),
    ) -> Result<usize> {
        let Some(account) = self.conversions.account(self.accounts.id(number)?) else { return Ok(0) };
        let closed_at = self.conversions.instants("closed_at")?;
        let mut from = 0;
        for conversion in self.conversions.rows_of(account) {
            let closing = closed_at.value(conversion);
            let opening = closing.saturating_sub(self.lookback_micros);
            let to = order.partition_point(|row| columns.touched_at[*row as usize] <= closing);
            let first = order.partition_point(|row| columns.touched_at[*row as usize] < opening);
            take(conversion, first.max(from)..to);
            from = to;
        }
        Ok(from)
    }
}

/// Rows of credit, column by column.
#[derive(Debug, Default)]
struct Rows {
    months: Vec<i32>,
    models: Vec<&'static str>,
    channels: Vec<Box<str>>,
    weights: Vec<f64>,
    cents: Vec<i128>,
}

impl Rows {
    fn push(&mut self, month: i32, model: ChannelModel, channel: &str, weight: f64, cents: i64) {
        self.months.push(month);
        self.models.push(model.name());
        self.channels.push(channel.into());
        self.weights.push(weight);
        self.cents.push(i128::from(cents));
    }

    fn batch(self, schema: &SchemaRef) -> Result<RecordBatch> {
        let all: [(&str, ArrayRef); 5] = [
            ("month", Arc::new(Date32Array::from(self.months))),
            ("model", Arc::new(StringViewArray::from_iter_values(self.models))),
            ("channel", Arc::new(StringViewArray::from_iter_values(self.channels))),
            ("weight", Arc::new(Float64Array::from(self.weights))),
            ("credit", Arc::new(Decimal128Array::from(self.cents).with_precision_and_scale(18, 2)?)),
        ];
        let rows = RecordBatch::try_from_iter(all)?;
        let places: Vec<usize> =
            schema.fields().iter().map(|field| rows.schema().index_of(field.name())).collect::<Result<_, _>>()?;
        Ok(rows.project(&places)?)
    }
}

/// Returns what each channel earned in each month under the models.
fn credit(paths: &Paths, models: &[ChannelModel], conversions: &Conversions) -> Result<Rows> {
    let months = conversions.months()?;
    let mut is_converted = vec![false; conversions.values.len()];
    for conversion in &paths.converted {
        is_converted[*conversion as usize] = true;
    }
    // Number and cents of the conversions of a month: those that have no path, and those that have one.
    let mut totals: BTreeMap<i32, [(u64, i64); 2]> = BTreeMap::new();
    for (conversion, is_converted) in is_converted.into_iter().enumerate() {
        let total = &mut totals.entry(months.value(conversion)).or_default()[usize::from(is_converted)];
        total.0 += 1;
        total.1 += conversions.values[conversion];
    }
    let mut rows = Rows::default();
    for model in models {
        for (month, [(count, cents), _]) in totals.iter().filter(|(_, [without, _])| without.0 > 0) {
            rows.push(*month, *model, UNATTRIBUTED, *count as f64, *cents);
        }
        match model {
            ChannelModel::Shapley => {
                for ((month, channel), (weight, cents)) in &paths.shared {
                    rows.push(*month, *model, paths.names.name(*channel), *weight, *cents);
                }
            }
            ChannelModel::Markov => {
                let shares = markov_shares(paths);
                for (month, [_, (count, cents)]) in totals.iter().filter(|(_, [_, with])| with.0 > 0) {
                    for share in &shares {
                        let cents = cents_of_share(*cents, share.up_to) - cents_of_share(*cents, share.before);
                        rows.push(*month, *model, share.channel, *count as f64 * share.weight, cents);
                    }
                }
            }
        }
    }
    Ok(rows)
}

/// What a channel gets of every month, with the sums before it and up to it in the order of names.
struct Share<'a> {
    channel: &'a str,
    weight: f64,
    before: f64,
    up_to: f64,
}

fn markov_shares(paths: &Paths) -> Vec<Share<'_>> {
    let effects = paths.chain.removal_effects(paths.names.len());
    let all: f64 = effects.iter().sum();
    let weights = paths.names.iter().zip(effects).map(|(name, effect)| (name, effect / all));
    let mut weights: Vec<(&str, f64)> = weights.filter(|(_, weight)| *weight >= SHARE_MIN).collect();
    weights.sort_unstable_by_key(|(name, _)| *name);
    let count = weights.len();
    let mut before = 0.0;
    let share = |(place, (channel, weight))| {
        let up_to = if place + 1 == count { 1.0 } else { before + weight };
        let share = Share { channel, weight, before, up_to };
        before = up_to;
        share
    };
    weights.into_iter().enumerate().map(share).collect()
}
