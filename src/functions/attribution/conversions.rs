//! What attribution knows of the conversions: held in memory, in the order of account and closing.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray};
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Date32Type, Decimal128Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

use crate::functions::identity::IdMap;
use crate::functions::operator::{column, hold};

/// The columns of conversions that are always read.
pub const CONVERSION_COLUMNS: [&str; 5] = ["opportunity_id", "account_id", "closed_at", "month", "value"];

/// The columns of leads that are read.
pub const LEAD_COLUMNS: [&str; 3] = ["converted_opportunity_id", "live_account_id", "created_at"];

/// The columns of the contact roles' input.
pub const ROLE_COLUMNS: [&str; 2] = ["opportunity_id", "person_id"];

/// What conversions are made of.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    /// The conversions.
    pub(super) conversions: Arc<dyn ExecutionPlan>,
    /// Leads, where a model asks for the milestone LC.
    pub(super) leads: Option<Arc<dyn ExecutionPlan>>,
    /// Contact roles, where they count.
    pub(super) roles: Option<Arc<dyn ExecutionPlan>>,
}

/// Conversions that are read once and then shared by the operators of a plan.
pub type SharedConversions = Arc<OnceCell<(Conversions, MemoryReservation)>>;

/// The conversions of a query.
#[derive(Debug)]
pub struct Conversions {
    /// The rows, ordered by account, closing and opportunity.
    pub(super) batch: RecordBatch,
    /// The values in cents.
    pub(super) values: Vec<i64>,
    lead_created_at: Vec<Option<i64>>,
    accounts: IdMap,
    ranges: Vec<Range<usize>>,
    windows: Vec<(i64, i64)>,
    roles: Option<HashMap<Box<str>, Vec<Box<str>>>>,
}

impl Conversions {
    /// Reads the conversions, and leads and contact roles where they are needed.
    ///
    /// # Errors
    /// `ResourcesExhausted` where they do not fit into the memory of the query.
    pub(super) async fn read(
        inputs: &Inputs,
        lookback_micros: i64,
        context: &Arc<TaskContext>,
    ) -> Result<(Self, MemoryReservation)> {
        let held = hold("attribution", &inputs.conversions, context).await?;
        let reservation = held.reservation.new_empty();
        let mut conversions = Self::new(&held.batch, lookback_micros)?;
        reservation.try_grow(conversions.batch.get_array_memory_size())?;
        if let Some(leads) = &inputs.leads {
            let leads = hold("attribution", leads, context).await?;
            conversions.lead_created_at = lead_created_at(&conversions.batch, &leads.batch)?;
        }
        if let Some(roles) = &inputs.roles {
            let roles = hold("attribution", roles, context).await?;
            reservation.try_grow(2 * roles.batch.get_array_memory_size())?;
            conversions.roles = Some(roles_by_opportunity(&roles.batch)?);
        }
        Ok((conversions, reservation))
    }

    fn new(batch: &RecordBatch, lookback_micros: i64) -> Result<Self> {
        let order = ["account_id", "closed_at", "opportunity_id"]
            .into_iter()
            .map(|name| Ok(SortColumn { values: Arc::clone(column(batch, name)?), options: None }))
            .collect::<Result<Vec<_>>>()?;
        let batch = take_record_batch(batch, &lexsort_to_indices(&order, None)?)?;
        let ids = column(&batch, "account_id")?.as_string_view().clone();
        let (mut names, mut ranges) = (Vec::new(), Vec::<Range<usize>>::new());
        for row in (0..batch.num_rows()).filter(|row| ids.is_valid(*row)) {
            match ranges.last_mut() {
                Some(range) if names.last() == Some(&ids.value(row)) => range.end = row + 1,
                _ => {
                    names.push(ids.value(row));
                    ranges.push(row..row + 1);
                }
            }
        }
        let accounts = IdMap::new(names.into_iter().map(Some).collect());
        let values = cents(&batch)?;
        let lead_created_at = Vec::new();
        let mut conversions =
            Self { batch, values, lead_created_at, accounts, ranges, windows: Vec::new(), roles: None };
        let closed_at = conversions.instants("closed_at")?.values().clone();
        conversions.windows = conversions
            .ranges
            .iter()
            .map(|range| (closed_at[range.start].saturating_sub(lookback_micros), closed_at[range.end - 1]))
            .collect();
        Ok(conversions)
    }

    /// Returns the number of the account, if it has a conversion to which a touch at this instant may belong.
    pub(super) fn account_of_touch(&self, account_id: &str, touched_at: i64) -> Option<u32> {
        let account = self.accounts.get(account_id)?;
        let (first, last) = self.windows[account as usize];
        (first <= touched_at && touched_at <= last).then_some(account)
    }

    /// Returns the number of an account; `None` where it has no conversion.
    pub(super) fn account(&self, account_id: &str) -> Option<u32> {
        self.accounts.get(account_id)
    }

    /// Returns the rows of an account.
    pub(super) fn rows_of(&self, account: u32) -> Range<usize> {
        self.ranges[account as usize].clone()
    }

    /// Returns the rows of conversions that no account of `seen` has.
    pub(super) fn rows_without(&self, seen: &[bool]) -> Vec<u32> {
        let mut is_seen = vec![false; self.batch.num_rows()];
        for (range, _) in self.ranges.iter().zip(seen).filter(|(_, seen)| **seen) {
            is_seen[range.clone()].fill(true);
        }
        (0..self.batch.num_rows() as u32).filter(|row| !is_seen[*row as usize]).collect()
    }

    /// Returns how many accounts have a conversion.
    pub(super) fn accounts(&self) -> usize {
        self.ranges.len()
    }

    /// Returns whether a person has a role on a deal; everybody has where roles do not count.
    pub(super) fn has_role(&self, opportunity_id: &str, person_id: Option<&str>) -> bool {
        match &self.roles {
            None => true,
            Some(roles) => person_id.is_some_and(|person| {
                roles.get(opportunity_id).is_some_and(|people| people.iter().any(|other| **other == *person))
            }),
        }
    }

    /// Returns whether roles count.
    pub(super) fn has_roles(&self) -> bool {
        self.roles.is_some()
    }

    /// Returns when the lead of a conversion was created; `None` where there is none, or no model asks for it.
    pub(super) fn lead_created_at(&self, row: usize) -> Option<i64> {
        self.lead_created_at.get(row).copied().flatten()
    }

    pub(super) fn column(&self, name: &str) -> Result<&ArrayRef> {
        column(&self.batch, name)
    }

    pub(super) fn instants(&self, name: &str) -> Result<&TimestampMicrosecondArray> {
        Ok(self.column(name)?.as_primitive::<TimestampMicrosecondType>())
    }

    pub(super) fn months(&self) -> Result<&Date32Array> {
        Ok(self.column("month")?.as_primitive::<Date32Type>())
    }
}

fn cents(batch: &RecordBatch) -> Result<Vec<i64>> {
    let values = column(batch, "value")?.as_primitive::<Decimal128Type>();
    values
        .iter()
        .map(|value| value.map_or(Ok(0), i64::try_from))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| DataFusionError::Execution("the value of a conversion is out of range".into()))
}

/// Returns the milestone LC of each conversion: the creation of the earliest lead that became this opportunity, else of
/// the earliest that became its account, if that was not after the opportunity's own.
fn lead_created_at(conversions: &RecordBatch, leads: &RecordBatch) -> Result<Vec<Option<i64>>> {
    let created_at = column(leads, "created_at")?.as_primitive::<TimestampMicrosecondType>();
    let earliest = |name: &str| {
        let ids = column(leads, name)?.as_string_view();
        let mut earliest: HashMap<Box<str>, i64> = HashMap::new();
        for (id, created_at) in ids.iter().zip(created_at.values()) {
            let Some(id) = id else { continue };
            match earliest.get_mut(id) {
                Some(known) => *known = (*known).min(*created_at),
                None => {
                    earliest.insert(id.into(), *created_at);
                }
            }
        }
        Ok::<_, DataFusionError>(earliest)
    };
    let (by_opportunity, by_account) = (earliest("converted_opportunity_id")?, earliest("live_account_id")?);
    let opportunities = column(conversions, "opportunity_id")?.as_string_view();
    let accounts = column(conversions, "account_id")?.as_string_view();
    let opened_at = column(conversions, "created_at")?.as_primitive::<TimestampMicrosecondType>().values();
    let of_row = |row: usize| {
        let of_opportunity = by_opportunity.get(opportunities.value(row));
        let of_account = || by_account.get(accounts.is_valid(row).then(|| accounts.value(row))?);
        of_opportunity.or_else(|| of_account().filter(|created_at| **created_at <= opened_at[row])).copied()
    };
    Ok((0..conversions.num_rows()).map(of_row).collect())
}

fn roles_by_opportunity(batch: &RecordBatch) -> Result<HashMap<Box<str>, Vec<Box<str>>>> {
    let opportunities = column(batch, "opportunity_id")?.as_string_view();
    let people = column(batch, "person_id")?.as_string_view();
    let mut roles: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
    for (opportunity, person) in opportunities.iter().zip(people) {
        if let (Some(opportunity), Some(person)) = (opportunity, person) {
            roles.entry(opportunity.into()).or_default().push(person.into());
        }
    }
    Ok(roles)
}
