//! The live account of a touch, a lead, a contact or a billing customer.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StringViewArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};

use super::keys::{IdMap, NONE, TextMap};
use super::merges::{is_in_cycle, survivors};
use crate::functions::operator::{Held, column};
use crate::functions::texts::{email_domain, is_company_domain, normal_email};

/// Columns of the rows that identity reads, in any order.
pub(super) struct Columns<'a>(pub(super) &'a RecordBatch);

impl Columns<'_> {
    pub(super) fn texts(&self, name: &str) -> Result<StringViewArray> {
        Ok(column(self.0, name)?.as_string_view().clone())
    }

    fn flags(&self, name: &str) -> Result<BooleanArray> {
        Ok(column(self.0, name)?.as_boolean().clone())
    }
}

/// Rows of one table with their survivors.
#[derive(Debug)]
pub(super) struct Members {
    ids: IdMap,
    survivors: Vec<u32>,
    is_deleted: BooleanArray,
}

impl Members {
    pub(super) fn new(columns: &Columns, id: &str) -> Result<Self> {
        // Ids outlive the rows they came from: copied, they do not keep whole Parquet pages alive.
        let ids = IdMap::new(columns.texts(id)?.gc());
        let survivors = survivors(&ids, &columns.texts("merged_into_id")?);
        Ok(Self { ids, survivors, is_deleted: columns.flags("is_deleted")? })
    }

    /// Returns the row that survives `row`, if it is not deleted.
    pub(super) fn live_survivor(&self, row: u32) -> Option<u32> {
        let survivor = self.survivors[row as usize];
        (!self.is_deleted.value(survivor as usize)).then_some(survivor)
    }

    /// Returns whether the row counts by itself: neither merged into another nor deleted.
    pub(super) fn is_live(&self, row: usize) -> bool {
        self.survivors[row] as usize == row && !self.is_deleted.value(row)
    }

    /// Returns whether each row is inside a cycle of merges.
    pub(super) fn is_in_cycle(&self, columns: &Columns) -> Result<BooleanArray> {
        Ok(is_in_cycle(&self.ids, &columns.texts("merged_into_id")?, &self.survivors).into())
    }

    pub(super) fn len(&self) -> usize {
        self.survivors.len()
    }

    pub(super) fn survivor(&self, row: usize) -> u32 {
        self.survivors[row]
    }

    pub(super) fn ids(&self) -> &StringViewArray {
        self.ids.ids()
    }

    fn memory_bytes(&self) -> usize {
        self.ids.memory_bytes() + self.survivors.len() * size_of::<u32>()
    }
}

/// People (contacts or leads) with the account that each leads to.
#[derive(Debug)]
struct People {
    members: Members,
    /// The live account of each row's survivor; `NONE` where it has none or is deleted.
    accounts: Vec<u32>,
    by_email: TextMap,
}

impl People {
    fn new(batch: &RecordBatch, id: &str, account_column: &str, accounts: &Members) -> Result<Self> {
        let columns = Columns(batch);
        let members = Members::new(&columns, id)?;
        let (ids, emails) = (members.ids().clone(), columns.texts("email")?);
        let account_ids = columns.texts(account_column)?;
        let mut by_email = TextMap::default();
        let accounts = (0..members.len() as u32)
            .map(|row| {
                let survivor = members.live_survivor(row)? as usize;
                let account = account_ids.is_valid(survivor).then(|| account_ids.value(survivor))?;
                let account = accounts.live_survivor(accounts.ids.get(account)?)?;
                if emails.is_valid(row as usize) {
                    let email = normal_email(emails.value(row as usize));
                    if !email.is_empty() {
                        by_email.offer(&email, ids.value(row as usize), account);
                    }
                }
                Some(account)
            })
            .map(|account| account.unwrap_or(NONE))
            .collect();
        Ok(Self { members, accounts, by_email })
    }

    fn account_of(&self, id: &str) -> Option<u32> {
        self.members.ids.get(id).map(|row| self.accounts[row as usize]).filter(|account| *account != NONE)
    }

    fn memory_bytes(&self) -> usize {
        self.members.memory_bytes() + self.accounts.len() * size_of::<u32>() + self.by_email.memory_bytes()
    }
}

/// Runs what takes a while and waits for nothing on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    SpawnedTask::spawn_blocking(work).join().await.map_err(|cause| DataFusionError::Execution(cause.to_string()))?
}

fn accounts_with_domains(batch: &RecordBatch) -> Result<(Members, TextMap)> {
    let columns = Columns(batch);
    let members = Members::new(&columns, "account_id")?;
    let mut by_domain = TextMap::default();
    // Who asks for accounts by id alone does not read their domains.
    let Ok(domains) = columns.texts("domain") else { return Ok((members, by_domain)) };
    for row in (0..members.len()).filter(|row| domains.is_valid(*row)) {
        let domain = normal_email(domains.value(row));
        if let Some(account) = members.live_survivor(row as u32).filter(|_| is_company_domain(&domain)) {
            by_domain.offer(&domain, members.ids().value(row), account);
        }
    }
    Ok((members, by_domain))
}

/// What a row says of whom it belongs to, best first.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Clues<'a> {
    pub(super) account_id: Option<&'a str>,
    pub(super) contact_id: Option<&'a str>,
    pub(super) lead_id: Option<&'a str>,
    pub(super) email: Option<&'a str>,
}

/// Accounts, contacts and leads, ready to say to which live account a row belongs.
#[derive(Debug)]
pub(super) struct Resolver {
    accounts: Arc<Members>,
    by_domain: TextMap,
    contacts: Option<People>,
    leads: Option<(People, Option<StringViewArray>)>,
}

impl Resolver {
    /// Returns the resolver over accounts, and contacts and leads where they are given; these two are taken in at the
    /// same time.
    pub(super) async fn build(accounts: Held, contacts: Option<Held>, leads: Option<Held>) -> Result<Self> {
        let (members, by_domain) = blocking(move || accounts_with_domains(&accounts.batch)).await?;
        let members = Arc::new(members);
        let (of_contacts, of_leads) = (Arc::clone(&members), Arc::clone(&members));
        let contacts = blocking(move || {
            contacts.map(|held| People::new(&held.batch, "contact_id", "account_id", &of_contacts)).transpose()
        });
        let leads = blocking(move || {
            leads
                .map(|held| {
                    let people = People::new(&held.batch, "lead_id", "converted_account_id", &of_leads)?;
                    // Who does not ask for persons does not read what leads became.
                    let converted = Columns(&held.batch).texts("converted_contact_id").ok();
                    Ok((people, converted.map(|contacts| contacts.gc())))
                })
                .transpose()
        });
        let (contacts, leads) = futures::future::try_join(contacts, leads).await?;
        Ok(Self { accounts: members, by_domain, contacts, leads })
    }

    pub(super) fn accounts(&self) -> &Members {
        &self.accounts
    }

    /// Returns the row of the live account that an account id leads to.
    pub(super) fn live_account(&self, account_id: &str) -> Option<u32> {
        self.accounts.live_survivor(self.accounts.ids.get(account_id)?)
    }

    /// Returns the row of the live account that a row belongs to.
    pub(super) fn account(&self, clues: Clues) -> Option<u32> {
        let contacts = self.contacts.as_ref();
        let leads = self.leads.as_ref().map(|(people, _)| people);
        clues
            .account_id
            .and_then(|id| self.live_account(id))
            .or_else(|| clues.contact_id.and_then(|id| contacts?.account_of(id)))
            .or_else(|| clues.lead_id.and_then(|id| leads?.account_of(id)))
            .or_else(|| {
                let email = normal_email(clues.email?);
                contacts
                    .and_then(|people| people.by_email.get(&email))
                    .or_else(|| leads.and_then(|people| people.by_email.get(&email)))
                    .or_else(|| self.by_domain.get(email_domain(&email)?))
            })
    }

    /// Returns the id of the contact, after merges, that a touch is by: its own, or the one its lead was converted to.
    pub(super) fn person(&self, clues: Clues) -> Option<&str> {
        let contacts = &self.contacts.as_ref()?.members;
        let survivor =
            |id: &str| contacts.ids.get(id).map(|row| contacts.ids().value(contacts.survivor(row as usize) as usize));
        clues.contact_id.and_then(survivor).or_else(|| {
            let (leads, converted) = self.leads.as_ref()?;
            let converted = converted.as_ref()?;
            let row = leads.members.survivor(leads.members.ids.get(clues.lead_id?)? as usize) as usize;
            survivor(converted.is_valid(row).then(|| converted.value(row))?)
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.accounts.memory_bytes()
            + self.by_domain.memory_bytes()
            + self.contacts.as_ref().map_or(0, People::memory_bytes)
            + self.leads.as_ref().map_or(0, |(people, _)| people.memory_bytes())
    }
}
