//! What credit comes out as: a row for each touch and model, or sums.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringViewArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use hashbrown::HashMap;

use super::conversions::Conversions;
use super::eligible::TouchColumns;
use super::names::{Names, UNATTRIBUTED};
use super::weights::{Model, Share};
use crate::functions::money::MONEY;
use crate::functions::settings::instant_type;

/// The campaign of a touch without one, where credit is summed by campaign.
const NO_CAMPAIGN: &str = "(none)";

/// How credit comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grain {
    /// A row for each conversion, touch and model with a weight.
    Touch,
    /// Sums of weight and credit: any number of rows for each value of the other columns, which add up.
    Sums,
}

/// Returns all columns that credit can have at a grain.
pub fn credit_columns(grain: Grain) -> Vec<Field> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
    let number = |name: &str, kind, nullable| Field::new(name, kind, nullable);
    let month = number("month", DataType::Date32, false);
    let measures = [number("weight", DataType::Float64, false), number("credit", MONEY, false)];
    let mut fields =
        vec![month, text("model", false), text("channel", false), number("is_first", DataType::Boolean, false)];
    match grain {
        Grain::Touch => fields.extend([
            text("opportunity_id", false),
            text("opportunity_type", false),
            text("account_id", true),
            text("touch_id", true),
            number("touched_at", instant_type(), true),
            text("campaign_id", true),
            number("position", DataType::Int64, true),
            number("touch_count", DataType::Int64, false),
        ]),
        Grain::Sums => fields.push(text("campaign_id", false)),
    }
    fields.extend(measures);
    fields
}

/// Collects credit and makes batches of it.
#[derive(Debug)]
pub(super) struct Output {
    schema: SchemaRef,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Touch(Rows),
    Sums(Box<Sums>),
}

impl Output {
    pub(super) fn new(schema: SchemaRef, grain: Grain, batch_size: usize) -> Self {
        let kind = match grain {
            Grain::Touch => Kind::Touch(Rows { batch_size, ..Rows::default() }),
            Grain::Sums => Kind::Sums(Box::default()),
        };
        Self { schema, kind }
    }

    /// Starts the conversion in row `conversion`, whose path is `rows` of the touches.
    pub(super) fn begin(
        &mut self,
        conversion: usize,
        rows: &[u32],
        touches: &TouchColumns,
        conversions: &Conversions,
    ) -> Result<()> {
        match &mut self.kind {
            Kind::Touch(output) => {
                output.current = (conversion as u32, rows.len() as i64);
                Ok(())
            }
            Kind::Sums(sums) => sums.begin(&self.schema, conversion, rows, touches, conversions),
        }
    }

    /// Adds the share that a model gives to a position of the path `rows`.
    pub(super) fn add(&mut self, model: Model, rows: &[u32], share: Share, cents: i64) {
        match &mut self.kind {
            Kind::Touch(output) => {
                let (conversion, touch_count) = output.current;
                output.push(Row {
                    conversion,
                    touch: Some(rows[share.position - 1]),
                    position: Some(share.position as i64),
                    touch_count,
                    model,
                    weight: share.weight,
                    cents,
                });
            }
            Kind::Sums(sums) => {
                let place = sums.path[share.position - 1] as usize * Model::ALL.len() + model as usize;
                sums.weights[place] += share.weight;
                sums.cents[place] += cents;
            }
        }
    }

    /// Adds conversions without a touch: their whole value, for each model.
    pub(super) fn add_without_touch(
        &mut self,
        rows: &[u32],
        models: &[Model],
        conversions: &Conversions,
    ) -> Result<()> {
        for conversion in rows {
            let cents = conversions.values[*conversion as usize];
            match &mut self.kind {
                Kind::Touch(output) => {
                    for model in models {
                        let row = Row {
                            conversion: *conversion,
                            touch: None,
                            position: None,
                            touch_count: 0,
                            model: *model,
                            weight: 1.0,
                            cents,
                        };
                        output.push(row);
                    }
                }
                Kind::Sums(sums) => sums.add_without_touch(*conversion as usize, models, cents, conversions)?,
            }
        }
        Ok(())
    }

    /// Returns the rows of a batch of touches that is about to go.
    pub(super) fn end_batch(&mut self, touches: &RecordBatch, conversions: &Conversions) -> Result<Vec<RecordBatch>> {
        match &mut self.kind {
            Kind::Touch(output) => output.batches(&self.schema, Some(touches), conversions),
            Kind::Sums(_) => Ok(Vec::new()),
        }
    }

    /// Returns what is left: rows without a touch, or the sums.
    pub(super) fn finish(&mut self, models: &[Model], conversions: &Conversions) -> Result<Vec<RecordBatch>> {
        match &mut self.kind {
            Kind::Touch(output) => output.batches(&self.schema, None, conversions),
            Kind::Sums(sums) => sums.batches(&self.schema, models),
        }
    }
}

struct Row {
    conversion: u32,
    touch: Option<u32>,
    position: Option<i64>,
    touch_count: i64,
    model: Model,
    weight: f64,
    cents: i64,
}

/// Rows to come, column by column.
#[derive(Debug, Default)]
struct Rows {
    batch_size: usize,
    current: (u32, i64),
    conversions: Vec<u32>,
    touches: Vec<Option<u32>>,
    positions: Vec<Option<i64>>,
    touch_counts: Vec<i64>,
    models: Vec<u32>,
    weights: Vec<f64>,
    cents: Vec<i128>,
}

impl Rows {
    fn push(&mut self, row: Row) {
        self.conversions.push(row.conversion);
        self.touches.push(row.touch);
        self.positions.push(row.position);
        self.touch_counts.push(row.touch_count);
        self.models.push(row.model as u32);
        self.weights.push(row.weight);
        self.cents.push(i128::from(row.cents));
    }

    fn batches(
        &mut self,
        schema: &SchemaRef,
        touches: Option<&RecordBatch>,
        conversions: &Conversions,
    ) -> Result<Vec<RecordBatch>> {
        let rows = std::mem::replace(self, Self { batch_size: self.batch_size, ..Self::default() });
        let count = rows.conversions.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let by_conversion = UInt32Array::from(rows.conversions);
        let by_touch = UInt32Array::from(rows.touches);
        let of_conversion =
            |name: &str| Ok::<_, DataFusionError>(take(conversions.column(name)?, &by_conversion, None)?);
        let of_touch = |name: &str, kind: &DataType| match touches.and_then(|touches| touches.column_by_name(name)) {
            Some(column) => Ok::<_, DataFusionError>(take(column, &by_touch, None)?),
            None => Ok(arrow::array::new_null_array(kind, count)),
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match field.name().as_str() {
                "model" => model_names(&rows.models)?,
                "channel" if touches.is_none() => {
                    Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(UNATTRIBUTED, count)))
                }
                "touch_id" | "touched_at" | "channel" | "campaign_id" => of_touch(field.name(), field.data_type())?,
                "position" => Arc::new(Int64Array::from(rows.positions.clone())),
                "touch_count" => Arc::new(Int64Array::from(rows.touch_counts.clone())),
                "weight" => Arc::new(Float64Array::from(rows.weights.clone())),
                "credit" => Arc::new(Decimal128Array::from(rows.cents.clone()).with_precision_and_scale(18, 2)?),
                name => of_conversion(name)?,
            });
        }
        let whole = batch_of(schema, columns, count)?;
        Ok((0..count)
            .step_by(self.batch_size)
            .map(|from| whole.slice(from, self.batch_size.min(count - from)))
            .collect())
    }
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, count: usize) -> Result<RecordBatch> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn model_names(models: &[u32]) -> Result<ArrayRef> {
    let names = StringViewArray::from_iter_values(Model::ALL.map(Model::name));
    Ok(take(&names, &UInt32Array::from(models.to_vec()), None)?)
}

/// Sums by month, channel, campaign and whether the conversion is the account's first.
#[derive(Debug, Default)]
struct Sums {
    names: Names,
    groups: HashMap<(i32, u32, u32, bool), u32>,
    keys: Vec<(i32, u32, u32, bool)>,
    weights: Vec<f64>,
    cents: Vec<i64>,
    /// The group of each position of the current path.
    path: Vec<u32>,
}

impl Sums {
    fn group(&mut self, key: (i32, u32, u32, bool)) -> u32 {
        let next = self.keys.len() as u32;
        let group = *self.groups.entry(key).or_insert(next);
        if group == next {
            self.keys.push(key);
            self.weights.resize(self.weights.len() + Model::ALL.len(), 0.0);
            self.cents.resize(self.cents.len() + Model::ALL.len(), 0);
        }
        group
    }

    fn begin(
        &mut self,
        schema: &SchemaRef,
        conversion: usize,
        rows: &[u32],
        touches: &TouchColumns,
        conversions: &Conversions,
    ) -> Result<()> {
        let (month, is_first) = of_conversion(conversions, conversion)?;
        let has = |name| schema.field_with_name(name).is_ok();
        let (has_channel, has_campaign) = (has("channel"), has("campaign_id"));
        self.path.clear();
        for row in rows {
            let row = *row as usize;
            let channel = match touches.channels.filter(|_| has_channel) {
                Some(channels) => self.names.number(channels.value(row)),
                None => 0,
            };
            let campaign = match touches.campaigns.filter(|_| has_campaign) {
                Some(campaigns) if campaigns.is_valid(row) => self.names.number(campaigns.value(row)),
                Some(_) => self.names.number(NO_CAMPAIGN),
                None => 0,
            };
            let group = self.group((month, channel, campaign, is_first));
            self.path.push(group);
        }
        Ok(())
    }

    fn add_without_touch(&mut self, row: usize, models: &[Model], cents: i64, conversions: &Conversions) -> Result<()> {
        let (month, is_first) = of_conversion(conversions, row)?;
        let name = self.names.number(UNATTRIBUTED);
        let group = self.group((month, name, name, is_first)) as usize;
        for model in models {
            let place = group * Model::ALL.len() + *model as usize;
            self.weights[place] += 1.0;
            self.cents[place] += cents;
        }
        Ok(())
    }

    fn batches(&mut self, schema: &SchemaRef, models: &[Model]) -> Result<Vec<RecordBatch>> {
        let places: Vec<(usize, Model)> = (0..self.keys.len())
            .flat_map(|group| models.iter().map(move |model| (group, *model)))
            .filter(|(group, model)| self.weights[group * Model::ALL.len() + *model as usize] > 0.0)
            .collect();
        let at = |(group, model): &(usize, Model)| group * Model::ALL.len() + *model as usize;
        let name = |number: u32| self.names.name(number);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match field.name().as_str() {
                "month" => Arc::new(places.iter().map(|(group, _)| Some(self.keys[*group].0)).collect::<Date32Array>()),
                "model" => Arc::new(StringViewArray::from_iter_values(places.iter().map(|(_, model)| model.name()))),
                "channel" => Arc::new(StringViewArray::from_iter_values(
                    places.iter().map(|(group, _)| name(self.keys[*group].1)),
                )),
                "campaign_id" => Arc::new(StringViewArray::from_iter_values(
                    places.iter().map(|(group, _)| name(self.keys[*group].2)),
                )),
                "is_first" => {
                    Arc::new(places.iter().map(|(group, _)| Some(self.keys[*group].3)).collect::<BooleanArray>())
                }
                "weight" => {
                    Arc::new(Float64Array::from_iter_values(places.iter().map(|place| self.weights[at(place)])))
                }
                "credit" => {
                    let cents = places.iter().map(|place| i128::from(self.cents[at(place)]));
                    Arc::new(Decimal128Array::from_iter_values(cents).with_precision_and_scale(18, 2)?)
                }
                other => return datafusion::common::internal_err!("sums of credit have no column \"{other}\""),
            });
        }
        Ok(vec![batch_of(schema, columns, places.len())?])
    }
}

/// Returns the month of a conversion, and whether it is the account's first where that is asked for.
fn of_conversion(conversions: &Conversions, row: usize) -> Result<(i32, bool)> {
    let is_first = conversions.column("is_first").ok().map(arrow::array::AsArray::as_boolean);
    Ok((conversions.months()?.value(row), is_first.is_some_and(|is_first| is_first.value(row))))
}
