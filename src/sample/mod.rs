//! A synthetic B2B SaaS company: all tables of the source contract as Parquet files, with every edge case in them.
//!
//! It is for trying topline without a system to connect, for tests, and for measuring at any size. The same options
//! give the same bytes. It must not know how a metric is computed: it only writes facts.
//!
//! Each account's life is a function of the seed and its number, so nothing large is ever held: the tables are written
//! one after the other, and each pass draws the lives anew. Start at [`write_sample`]; a life is put together by
//! `profile`, `sales`, `billing` and `journey`, and written by `crm`, `bills`, `reach` and `finance`.

mod billing;
mod bills;
mod calendar;
mod campaigns;
mod channel;
mod company;
mod contract;
mod crm;
mod deal;
mod dice;
mod finance;
mod journey;
mod names;
mod oddities;
mod people;
mod planted;
mod profile;
mod quirk;
mod reach;
mod sales;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::fs;
use std::ops::Range;
use std::path::Path;

use billing::Billing;
use bills::BillingWriter;
use company::Company;
use crm::CrmWriter;
use journey::{Journey, Touch};
use profile::Profile;
use sales::Sales;
use table::cannot;

use crate::error::{Error, ErrorKind, Result};

/// The most accounts: ids and memory were thought through up to here.
const ACCOUNTS_MAX: u64 = 10_000_000;
/// The most months: twenty years.
const MONTHS_MAX: u32 = 240;
/// The folders of the source schemas.
const SCHEMAS: [&str; 4] = ["crm", "billing", "campaign", "finance"];
/// How many accounts pass between two reports of progress.
const PROGRESS_STEP: u64 = 1_024;

/// The configuration that is written beside the tables.
const CONFIG: &str = r#"# A synthetic company, made by `topline sample`. Paths are relative to this file.

[reporting]
currency = "USD"
timezone = "UTC"
# The history ends here, so that every run gives the same numbers.
as_of = "2026-11-01T00:00:00Z"

# Each source is a folder with tables of the contract, as Parquet.
[sources.crm]
connector = "canonical"
location = "crm"

[sources.billing]
connector = "canonical"
location = "billing"

[sources.campaign]
connector = "canonical"
location = "campaign"

[sources.finance]
connector = "canonical"
location = "finance"
"#;

/// What company to make.
#[derive(Debug, Clone, Copy)]
pub struct SampleOptions {
    /// Accounts in the CRM, 1 to 10,000,000; each has about 40 touches in 30 months.
    pub accounts: u64,
    /// Months of history, 1 to 240; the last one is October 2026.
    pub months: u32,
    /// What makes one company differ from another.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSummary {
    /// The tables in the order of the contract.
    pub tables: Vec<SampleTable>,
}

/// A table that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleTable {
    /// Schema and name, as in `crm/accounts`.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// The bytes of its files.
    pub bytes: u64,
}

/// Writes a synthetic company below `out`: `<schema>/<table>.parquet` for each of the 21 tables of the contract (a
/// folder of parts for a table above 2,000,000 rows), and a `topline.toml` that reads them.
///
/// Columns, types and what may be NULL are exactly those of the contract. Touches are in the order of time. Calls
/// `progress(done, total)` now and then; `total` does not change. Needs about 180 MB of memory at 200,000 accounts, and
/// no more at 1,000,000.
///
/// # Errors
/// `Argument`: an option is out of its bounds, or `out` has one of the folders already. `Storage`: a file or folder
/// cannot be written.
pub fn write_sample(options: &SampleOptions, out: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<SampleSummary> {
    check(options)?;
    prepare(out)?;
    let company = Company::new(options);
    let passes = 3 + company.calendar.months() as u64;
    let mut progress = Progress { report: progress, done: 0, total: company.population() * passes };
    let census = Census::take(&company, &mut progress);
    let mut tables = write_crm(&company, out, &census, &mut progress)?;
    tables.extend(write_billing(&company, out, &census, &mut progress)?);
    tables.push(reach::write_campaigns(&company, out)?);
    tables.push(reach::write_spend(&company, out)?);
    tables.push(reach::write_touches(&company, out, &census, &mut progress)?);
    tables.extend(finance::write_finance(&company, out)?);
    let config = out.join("topline.toml");
    fs::write(&config, CONFIG).map_err(|error| cannot("write", &config, error))?;
    progress.end();
    Ok(SampleSummary { tables })
}

fn check(options: &SampleOptions) -> Result<()> {
    let mut problems = Vec::new();
    if !(1..=ACCOUNTS_MAX).contains(&options.accounts) {
        problems.push(format!("accounts: expected 1 to {ACCOUNTS_MAX}, found {}", options.accounts));
    }
    if !(1..=MONTHS_MAX).contains(&options.months) {
        problems.push(format!("months: expected 1 to {MONTHS_MAX}, found {}", options.months));
    }
    match Error::list(ErrorKind::Argument, "options of the sample", problems) {
        None => Ok(()),
        Some(error) => Err(error.with_hint("300 accounts and 30 months make a company to look at")),
    }
}

/// Makes the folders, unless one of them is there.
fn prepare(out: &Path) -> Result<()> {
    let found: Vec<_> = SCHEMAS.iter().filter(|schema| out.join(schema).exists()).collect();
    if let Some(schema) = found.first() {
        let message = format!("folder \"{}\" has a \"{schema}\" already, and is not overwritten", out.display());
        return Err(
            Error::new(ErrorKind::Argument, message).with_hint("name a new folder, or delete the old one first")
        );
    }
    for schema in SCHEMAS {
        let folder = out.join(schema);
        fs::create_dir_all(&folder).map_err(|error| cannot("create folder", &folder, error))?;
    }
    Ok(())
}

fn write_crm(company: &Company, out: &Path, census: &Census, progress: &mut Progress) -> Result<Vec<SampleTable>> {
    let mut writer = CrmWriter::new(company, out, census);
    for index in 0..company.population() {
        progress.step(1);
        let profile = Profile::new(company, index);
        writer.write(&profile, &Sales::new(company, &profile))?;
    }
    writer.finish()
}

fn write_billing(company: &Company, out: &Path, census: &Census, progress: &mut Progress) -> Result<Vec<SampleTable>> {
    let mut writer = BillingWriter::new(company, out, census);
    for index in 0..company.accounts {
        progress.step(1);
        let profile = Profile::new(company, index);
        let sales = Sales::new(company, &profile);
        writer.write(&profile, &Billing::new(company, &profile, &sales))?;
    }
    writer.finish()
}

/// Reports of how far the work is.
struct Progress<'report> {
    report: &'report mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl Progress<'_> {
    fn end(&mut self) {
        self.done = self.total;
        (self.report)(self.done, self.total);
    }

    fn step(&mut self, units: u64) {
        let before = self.done / PROGRESS_STEP;
        self.done += units;
        if self.done / PROGRESS_STEP > before {
            (self.report)(self.done, self.total);
        }
    }
}

/// How many rows there will be: what decides on parts, and how many months of touches are held at once.
#[derive(Default)]
struct Census {
    contacts: u64,
    leads: u64,
    deals: u64,
    changes: u64,
    roles: u64,
    customers: u64,
    subscriptions: u64,
    items: u64,
    invoices: u64,
    payments: u64,
    refunds: u64,
    /// Touches of each month.
    touches: Vec<u64>,
    /// The first and the last month in which each account is touched.
    touched: Vec<(u8, u8)>,
}

impl Census {
    fn take(company: &Company, progress: &mut Progress) -> Self {
        let mut census = Self { touches: vec![0; company.calendar.months()], ..Self::default() };
        let mut touches = Vec::new();
        for index in 0..company.population() {
            progress.step(1);
            let profile = Profile::new(company, index);
            let sales = Sales::new(company, &profile);
            if company.is_account(index) {
                census.contacts += u64::from(profile.contacts);
                census.count_billing(&Billing::new(company, &profile, &sales));
            }
            census.leads += sales.leads.len() as u64;
            census.deals += sales.deals.len() as u64;
            let recorded = sales.deals.iter().filter(|deal| deal.has_history);
            census.changes += recorded.map(|deal| deal.history().len() as u64).sum::<u64>();
            census.roles += sales.deals.len() as u64 * u64::from(crm::roles(&profile));
            touches.clear();
            Journey::new(company, profile, &sales).draw(0..company.calendar.months(), &mut touches);
            census.count_touches(company, &touches);
        }
        census
    }

    fn count_billing(&mut self, billing: &Billing) {
        self.customers += billing.customers.len() as u64;
        self.subscriptions += billing.subscriptions.len() as u64;
        self.items += billing.items.len() as u64;
        self.invoices += billing.invoices.len() as u64;
        self.payments += billing.payments.len() as u64;
        self.refunds += billing.refunds.len() as u64;
    }

    fn count_touches(&mut self, company: &Company, touches: &[Touch]) {
        let (mut first, mut last) = (u8::MAX, 0);
        for touch in touches {
            let month = company.calendar.month_of(touch.touched_at);
            self.touches[month] += 1;
            first = first.min(month as u8);
            last = last.max(month as u8);
        }
        self.touched.push((first, last));
    }

    /// Returns whether an account may be touched in a range of months.
    fn is_touched(&self, index: u64, months: Range<usize>) -> bool {
        let (first, last) = self.touched[index as usize];
        usize::from(first) < months.end && usize::from(last) >= months.start
    }
}
