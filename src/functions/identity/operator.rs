//! Identity as a node of a plan: rows go in, and come out with the columns that say whose they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray, StringViewBuilder, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::resolver::{Clues, Columns, Members, Resolver};
use crate::functions::operator::{Held, Operator, chunks, hold};

/// Whose rows are identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Accounts: which live account survives each.
    Accounts,
    /// Contacts: which contact survives each.
    Contacts,
    /// Leads: whether they count, and the live account that they were converted to.
    Leads,
    /// Billing customers: the entity that each belongs to.
    Customers,
    /// Touches: the live account that each belongs to, and the contact that it is by.
    Touches,
}

impl Subject {
    /// Returns the columns that are added to the subject's own.
    pub fn added_columns(self) -> Vec<Field> {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
        let flag = |name: &str| Field::new(name, DataType::Boolean, false);
        let is_in_cycle = flag("is_in_cycle");
        match self {
            Self::Accounts => vec![text("live_account_id", true), flag("is_live"), is_in_cycle],
            Self::Contacts => vec![text("live_contact_id", false), is_in_cycle],
            Self::Leads => vec![text("live_account_id", true), flag("is_live"), is_in_cycle],
            Self::Customers => vec![text("entity_id", false), is_in_cycle],
            Self::Touches => vec![text("live_account_id", true), text("person_id", true)],
        }
    }

    /// Returns the columns of the subject that identity reads.
    pub fn clue_columns(self) -> &'static [&'static str] {
        match self {
            Self::Accounts => &["account_id", "merged_into_id", "is_deleted"],
            Self::Contacts => &["contact_id", "merged_into_id", "is_deleted"],
            Self::Leads => &["lead_id", "merged_into_id", "is_deleted", "converted_account_id"],
            Self::Customers => &["customer_id", "merged_into_id", "is_deleted", "account_id", "email"],
            Self::Touches => &["account_id", "contact_id", "lead_id", "email"],
        }
    }

    /// Returns the columns that are read of accounts, contacts and leads, in this order, as far as they are read.
    pub fn beside_columns(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Accounts | Self::Contacts => &[],
            Self::Leads => &[&["account_id", "merged_into_id", "is_deleted"]],
            Self::Customers => &BESIDE_COLUMNS[..2],
            Self::Touches => &BESIDE_COLUMNS,
        }
    }
}

const BESIDE_COLUMNS: [&[&str]; 3] = [
    &["account_id", "domain", "merged_into_id", "is_deleted"],
    &["contact_id", "account_id", "email", "merged_into_id", "is_deleted"],
    &["lead_id", "email", "converted_account_id", "converted_contact_id", "merged_into_id", "is_deleted"],
];

/// Identifies the rows of its first child; the others are accounts, contacts and leads, as far as the subject needs them.
#[derive(Debug)]
pub struct IdentityOperator {
    subject: Subject,
    schema: SchemaRef,
    resolver: Arc<OnceCell<Built>>,
}

impl IdentityOperator {
    /// Returns the operator whose rows have the columns `names`, of the subject's own and the added ones.
    ///
    /// # Errors
    /// `Plan` where a name is neither.
    pub fn new(subject: Subject, input: &Schema, names: &[String]) -> Result<Self> {
        let added = subject.added_columns();
        let fields = names
            .iter()
            .map(|name| {
                let own = input.field_with_name(name).ok();
                match added.iter().find(|field| field.name() == name).or(own) {
                    Some(field) => Ok(field.clone()),
                    None => plan_err!("identity has no column \"{name}\""),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { subject, schema: Arc::new(Schema::new(fields)), resolver: Arc::default() })
    }
}

impl Operator for IdentityOperator {
    fn name(&self) -> &'static str {
        "IdentityExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn streamed_child(&self) -> Option<usize> {
        (self.subject == Subject::Touches).then_some(0)
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (subject, schema, cell) = (self.subject, self.schema(), Arc::clone(&self.resolver));
        let children = children.to_vec();
        let batch_size = context.session_config().batch_size();
        let output = Arc::clone(&schema);
        let rows = stream::once(async move {
            let beside = children[1..].to_vec();
            let build = || build_resolver(beside, Arc::clone(&context));
            if subject != Subject::Touches {
                let held = hold("identity", &children[0], &context).await?;
                let added = if subject.beside_columns().is_empty() {
                    identify_by_merges(subject, &held)?
                } else {
                    cell.get_or_try_init(build).await?;
                    identify_members(subject, &held, resolver_of(&cell)?)?
                };
                let batch = project(&held.batch, added, &output)?;
                let batches = chunks(&batch, batch_size)?.into_iter().map(move |batch| {
                    let _held = &held.reservation;
                    Ok(batch)
                });
                return Ok::<_, DataFusionError>(stream::iter(batches).boxed());
            }
            cell.get_or_try_init(build).await?;
            let touches = children[0].execute(partition, context)?;
            Ok(touches
                .map(move |batch| {
                    let batch = batch?;
                    let added = identify_touches(&batch, resolver_of(&cell)?, &output)?;
                    project(&batch, added, &output)
                })
                .boxed())
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn resolver_of(cell: &OnceCell<Built>) -> Result<&Resolver> {
    match cell.get() {
        Some(built) => Ok(&built.resolver),
        None => datafusion::common::internal_err!("identity is read before it is built"),
    }
}

/// A resolver with its place in the memory pool.
#[derive(Debug)]
pub(super) struct Built {
    /// The resolver.
    pub(super) resolver: Resolver,
    _reservation: MemoryReservation,
}

/// Reads accounts, and contacts and leads where they are given, and makes the resolver of them.
pub(super) async fn build_resolver(beside: Vec<Arc<dyn ExecutionPlan>>, context: Arc<TaskContext>) -> Result<Built> {
    let reads = beside.iter().map(|child| hold("identity", child, &context));
    let mut held = futures::future::try_join_all(reads).await?.into_iter();
    let Some(accounts) = held.next() else { return plan_err!("identity needs accounts") };
    let reservation = accounts.reservation.new_empty();
    let (contacts, leads) = (held.next(), held.next());
    let resolver = Resolver::build(accounts, contacts, leads).await?;
    reservation.try_grow(resolver.memory_bytes())?;
    Ok(Built { resolver, _reservation: reservation })
}

/// Columns that were added, by name.
type Added = Vec<(&'static str, ArrayRef)>;

fn project(batch: &RecordBatch, added: Added, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let found = added.iter().find(|(name, _)| name == field.name()).map(|(_, column)| Arc::clone(column));
            match found.or_else(|| batch.column_by_name(field.name()).cloned()) {
                Some(column) => Ok(column),
                None => plan_err!("identity has no column \"{}\"", field.name()),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn ids_of(ids: &StringViewArray, rows: impl IntoIterator<Item = Option<u32>>) -> Result<ArrayRef> {
    Ok(take(ids, &UInt32Array::from_iter(rows), None)?)
}

fn is_live(members: &Members) -> ArrayRef {
    Arc::new(BooleanArray::from_iter((0..members.len()).map(|row| Some(members.is_live(row)))))
}

fn is_in_cycle(members: &Members, held: &Held) -> Result<(&'static str, ArrayRef)> {
    Ok(("is_in_cycle", Arc::new(members.is_in_cycle(&Columns(&held.batch))?)))
}

fn identify_by_merges(subject: Subject, held: &Held) -> Result<Added> {
    if subject == Subject::Contacts {
        let members = Members::new(&Columns(&held.batch), "contact_id")?;
        let survivors = ids_of(members.ids(), (0..members.len()).map(|row| Some(members.survivor(row))))?;
        return Ok(vec![("live_contact_id", survivors), is_in_cycle(&members, held)?]);
    }
    let members = Members::new(&Columns(&held.batch), "account_id")?;
    let live = ids_of(members.ids(), (0..members.len()).map(|row| members.live_survivor(row as u32)))?;
    Ok(vec![("live_account_id", live), ("is_live", is_live(&members)), is_in_cycle(&members, held)?])
}

fn identify_members(subject: Subject, held: &Held, resolver: &Resolver) -> Result<Added> {
    let columns = Columns(&held.batch);
    let accounts = resolver.accounts().ids();
    if subject == Subject::Leads {
        let members = Members::new(&columns, "lead_id")?;
        let converted = columns.texts("converted_account_id")?;
        let live = ids_of(accounts, converted.iter().map(|id| id.and_then(|id| resolver.live_account(id))))?;
        return Ok(vec![("live_account_id", live), ("is_live", is_live(&members)), is_in_cycle(&members, held)?]);
    }
    let members = Members::new(&columns, "customer_id")?;
    let (account_ids, emails) = (columns.texts("account_id")?, columns.texts("email")?);
    let mut entities = StringViewBuilder::with_capacity(members.len());
    for row in 0..members.len() {
        let survivor = members.survivor(row) as usize;
        let clues = Clues {
            account_id: account_ids.is_valid(survivor).then(|| account_ids.value(survivor)),
            email: emails.is_valid(survivor).then(|| emails.value(survivor)),
            ..Clues::default()
        };
        match resolver.account(clues) {
            Some(account) => entities.append_value(accounts.value(account as usize)),
            None => entities.append_value(format!("billing:{}", members.ids().value(survivor))),
        }
    }
    Ok(vec![("entity_id", Arc::new(entities.finish())), is_in_cycle(&members, held)?])
}

/// The columns of touches that say whose they are.
pub(super) struct ClueColumns([StringViewArray; 4]);

/// Returns the columns of a batch of touches that say whose they are.
pub(super) fn clues_of(batch: &RecordBatch) -> Result<ClueColumns> {
    let columns = Columns(batch);
    let texts = |name| columns.texts(name);
    Ok(ClueColumns([texts("account_id")?, texts("contact_id")?, texts("lead_id")?, texts("email")?]))
}

impl ClueColumns {
    pub(super) fn of_row(&self, row: usize) -> Clues<'_> {
        let text = |place: usize| self.0[place].is_valid(row).then(|| self.0[place].value(row));
        Clues { account_id: text(0), contact_id: text(1), lead_id: text(2), email: text(3) }
    }
}

fn identify_touches(batch: &RecordBatch, resolver: &Resolver, schema: &SchemaRef) -> Result<Added> {
    let clues = clues_of(batch)?;
    let rows = 0..batch.num_rows();
    let mut added: Added = Vec::new();
    if schema.field_with_name("live_account_id").is_ok() {
        let accounts = rows.clone().map(|row| resolver.account(clues.of_row(row)));
        added.push(("live_account_id", ids_of(resolver.accounts().ids(), accounts)?));
    }
    if schema.field_with_name("person_id").is_ok() {
        let persons: StringViewArray = rows.map(|row| resolver.person(clues.of_row(row))).collect();
        added.push(("person_id", Arc::new(persons)));
    }
    Ok(added)
}
