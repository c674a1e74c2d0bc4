//! The figures of a month by channel.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::values;
use crate::domain::month::Month;
use crate::error::Result;

/// The views that are read.
pub(super) const VIEWS: [&str; 2] = ["cac_by_channel", "attribution_by_channel"];

/// What a channel cost and brought in a month.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Channel {
    pub channel: String,
    pub ad_spend: f64,
    pub acquisition_cost: f64,
    pub new_customers: f64,
    pub cac: Option<f64>,
    pub revenue: f64,
    pub roas: Option<f64>,
}

/// Returns the queries for a month under a model.
pub(super) fn queries(month: Month, model: &str) -> Vec<String> {
    let month = month.sql();
    let rows = format!("where month = {month} and model = '{model}'");
    vec![
        format!(
            "select channel, cast(ad_spend as double) as ad_spend, cast(acquisition_cost as double) as acquisition_cost, \
             cast(new_customers as double) as new_customers, cast(cac as double) as cac \
             from metrics.cac_by_channel {rows}"
        ),
        format!(
            "select channel, cast(revenue as double) as revenue, cast(roas as double) as roas \
             from metrics.attribution_by_channel {rows}"
        ),
    ]
}

/// Returns the channels, those that cost most first.
///
/// # Errors
/// `Model` where a view has other columns than it must.
pub(super) fn channels(results: &[Vec<RecordBatch>]) -> Result<Vec<Channel>> {
    let mut channels: BTreeMap<String, Channel> = BTreeMap::new();
    let mut sources = results.iter();
    for batch in sources.next().into_iter().flatten() {
        for row in 0..batch.num_rows() {
            let channel = entry(&mut channels, values::text(batch, 0, row)?);
            channel.ad_spend = values::number(batch, 1, row)?.unwrap_or_default();
            channel.acquisition_cost = values::number(batch, 2, row)?.unwrap_or_default();
            channel.new_customers = values::number(batch, 3, row)?.unwrap_or_default();
            channel.cac = values::number(batch, 4, row)?;
        }
    }
    for batch in sources.next().into_iter().flatten() {
        for row in 0..batch.num_rows() {
            let channel = entry(&mut channels, values::text(batch, 0, row)?);
            channel.revenue = values::number(batch, 1, row)?.unwrap_or_default();
            channel.roas = values::number(batch, 2, row)?;
        }
    }
    let mut channels: Vec<Channel> = channels.into_values().collect();
    channels.sort_by(|one, other| other.acquisition_cost.total_cmp(&one.acquisition_cost));
    Ok(channels)
}

fn entry(channels: &mut BTreeMap<String, Channel>, name: String) -> &mut Channel {
    channels.entry(name.clone()).or_insert_with(|| Channel { channel: name, ..Channel::default() })
}

/// Returns all channels together.
pub(super) fn total(channels: &[Channel]) -> Channel {
    let sum = |part: fn(&Channel) -> f64| channels.iter().map(part).sum::<f64>();
    let ratio = |above: f64, below: f64| (below != 0.0).then(|| above / below);
    let (ad_spend, acquisition_cost) = (sum(|channel| channel.ad_spend), sum(|channel| channel.acquisition_cost));
    let (new_customers, revenue) = (sum(|channel| channel.new_customers), sum(|channel| channel.revenue));
    Channel {
        channel: "(all)".to_owned(),
        ad_spend,
        acquisition_cost,
        new_customers,
        cac: ratio(acquisition_cost, new_customers),
        revenue,
        roas: ratio(revenue, ad_spend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_divides_sums_and_not_ratios() {
        let one = Channel { ad_spend: 10.0, acquisition_cost: 30.0, new_customers: 0.25, ..Channel::default() };
        let two = Channel { new_customers: 0.75, revenue: 20.0, ..Channel::default() };
        let total = total(&[one, two]);
        assert_eq!((total.cac, total.roas), (Some(30.0), Some(2.0)));
        assert_eq!(super::total(&[]).cac, None);
    }
}
