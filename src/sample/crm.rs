//! The tables of `crm`.

use std::path::Path;

use super::campaigns::Campaigns;
use super::company::Company;
use super::deal::{Deal, Owner, STAGES};
use super::dice::mix;
use super::names::{company_name, domain};
use super::people::{account_domain, contacts, lead_address};
use super::profile::Profile;
use super::sales::{Lead, Sales};
use super::table::TableWriter;
use super::{Census, SampleTable, channel, schema};
use crate::error::Result;

const ROLES: [&str; 5] = ["decision_maker", "champion", "economic_buyer", "influencer", "technical_evaluator"];
/// Sellers; each has about as many deals as the others.
const SELLERS: u64 = 12;

/// Writes the tables of `crm`, one account after the other.
pub struct CrmWriter<'company> {
    company: &'company Company,
    accounts: TableWriter,
    contacts: TableWriter,
    leads: TableWriter,
    opportunities: TableWriter,
    history: TableWriter,
    roles: TableWriter,
    stages: TableWriter,
}

impl<'company> CrmWriter<'company> {
    /// Returns the writer of a company's tables below `out`.
    pub fn new(company: &'company Company, out: &Path, census: &Census) -> Self {
        Self {
            company,
            accounts: TableWriter::new(out, &schema::ACCOUNTS, company.accounts),
            contacts: TableWriter::new(out, &schema::CONTACTS, census.contacts),
            leads: TableWriter::new(out, &schema::LEADS, census.leads),
            opportunities: TableWriter::new(out, &schema::OPPORTUNITIES, census.deals),
            history: TableWriter::new(out, &schema::OPPORTUNITY_HISTORY, census.changes),
            roles: TableWriter::new(out, &schema::OPPORTUNITY_CONTACTS, census.roles),
            stages: TableWriter::new(out, &schema::STAGES, STAGES.len() as u64),
        }
    }

    /// Writes the rows of an account or a stranger.
    pub fn write(&mut self, profile: &Profile, sales: &Sales) -> Result<()> {
        if self.company.is_account(profile.index) {
            self.write_account(profile)?;
            self.write_contacts(profile)?;
        }
        for (n, lead) in (0..).zip(&sales.leads) {
            self.write_lead(profile, n, lead)?;
        }
        for (n, deal) in (0..).zip(&sales.deals) {
            self.write_deal(profile, n, deal)?;
            self.write_history(profile, n, deal)?;
            self.write_roles(profile, n)?;
        }
        Ok(())
    }

    /// Writes what is left and returns what was written.
    pub fn finish(mut self) -> Result<Vec<SampleTable>> {
        for (position, (stage, is_closed, is_won)) in (1..).zip(STAGES) {
            self.stages.row()?.text(stage).int(position).flag(is_closed).flag(is_won);
        }
        Ok(vec![
            self.accounts.finish()?,
            self.contacts.finish()?,
            self.leads.finish()?,
            self.opportunities.finish()?,
            self.history.finish()?,
            self.roles.finish()?,
            self.stages.finish()?,
        ])
    }

    fn write_account(&mut self, profile: &Profile) -> Result<()> {
        let merged_into = profile.quirk.merged_into(self.company, profile.index);
        self.accounts
            .row()?
            .text(&*self.company.id("A", profile.index))
            .text(&*company_name(self.company, profile.index))
            .text(account_domain(self.company, profile).as_deref())
            .text(profile.industry)
            .text(profile.segment)
            .text(profile.country)
            .int(profile.employees)
            .instant(profile.created_at)
            .text(merged_into.as_deref())
            .flag(profile.quirk.is_deleted());
        Ok(())
    }

    fn write_contacts(&mut self, profile: &Profile) -> Result<()> {
        let account = self.company.id("A", profile.index);
        for (n, contact) in (0..).zip(contacts(self.company, profile)) {
            self.contacts
                .row()?
                .text(&*self.company.id_of("C", profile.index, n, 1))
                .text(contact.has_account.then_some(&*account))
                .text(contact.email.as_deref())
                .instant(contact.created_at)
                .text(contact.merged_into.as_deref())
                .flag(contact.is_deleted);
        }
        Ok(())
    }

    fn write_lead(&mut self, profile: &Profile, n: u32, lead: &Lead) -> Result<()> {
        let (company, index) = (self.company, profile.index);
        let is_converted = lead.converted_at.is_some();
        let status = match (is_converted, lead.qualified_at, lead.responded_at) {
            (true, ..) => "converted",
            (false, Some(_), _) => "qualified",
            (false, None, Some(_)) => "working",
            (false, None, None) => "new",
        };
        let is_named = company.is_account(index) || index % 2 == 0;
        // The source is what the form says: the channel, or nothing.
        let source = Some(channel::name(profile.channel)).filter(|_| !mix(index).is_multiple_of(20));
        let account = is_converted.then(|| company.id("A", index));
        let contact = is_converted.then(|| company.id_of("C", index, n.min(u32::from(profile.contacts) - 1), 1));
        let deal = lead.deal.map(|deal| company.id_of("O", index, deal, 2));
        let merged_into = lead.merged_into.map(|other| company.id_of("L", index, other, 1));
        self.leads
            .row()?
            .text(&*company.id_of("L", index, n, 1))
            .text(lead_address(company, index, n).as_deref())
            .text(is_named.then(|| company_name(company, index)).as_deref())
            .text(source)
            .text(status)
            .instant(lead.created_at)
            .instant(lead.responded_at)
            .instant(lead.qualified_at)
            .instant(lead.converted_at)
            .text(account.as_deref())
            .text(contact.as_deref())
            .text(deal.as_deref())
            .text(merged_into.as_deref())
            .flag(lead.is_deleted);
        Ok(())
    }

    fn write_deal(&mut self, profile: &Profile, n: u32, deal: &Deal) -> Result<()> {
        let (company, index) = (self.company, profile.index);
        let account = match deal.owner {
            Owner::Account => Some(company.id("A", index)),
            Owner::Nobody => None,
            Owner::Unknown => Some(company.unknown_id("A")),
        };
        let noise = mix(company.seed ^ (index << 5) ^ u64::from(n));
        let seller = format!("U{:02}", 1 + noise % SELLERS);
        let name = format!("{} - {}", domain(company, index).trim_end_matches(".com"), deal.kind);
        let day = super::calendar::day_of(deal.created_at);
        let campaign = company.campaigns.all().nth((noise % 31) as usize).filter(|(_, campaign)| campaign.runs_on(day));
        let campaign = campaign.filter(|_| deal.kind == "new").map(|(place, _)| Campaigns::id(place));
        self.opportunities
            .row()?
            .text(&*company.id_of("O", index, n, 2))
            .text(account.as_deref())
            .text(&*name)
            .text(deal.kind)
            .text(STAGES[usize::from(deal.stage)].0)
            .decimal(deal.amount)
            .text(deal.currency)
            .double(Deal::probability(deal.stage))
            .text(deal.forecast(deal.stage))
            .instant(deal.created_at)
            .date(deal.close_day)
            .instant(deal.closed_at)
            .flag(deal.is_closed())
            .flag(deal.is_won())
            .text(&*seller)
            .text(campaign.as_deref())
            .flag(deal.is_deleted);
        Ok(())
    }

    fn write_history(&mut self, profile: &Profile, n: u32, deal: &Deal) -> Result<()> {
        if !deal.has_history {
            return Ok(());
        }
        let id = self.company.id_of("O", profile.index, n, 2);
        for change in deal.history() {
            self.history
                .row()?
                .text(&*id)
                .instant(change.changed_at)
                .text(STAGES[usize::from(change.stage)].0)
                .decimal(change.amount)
                .double(Deal::probability(change.stage))
                .text(change.forecast)
                .date(change.close_day);
        }
        Ok(())
    }

    fn write_roles(&mut self, profile: &Profile, n: u32) -> Result<()> {
        let id = self.company.id_of("O", profile.index, n, 2);
        for person in 0..roles(profile) {
            let contact = self.company.id_of("C", profile.index, person, 1);
            let role = ROLES[(mix(profile.index ^ u64::from(person) << 40) % 5) as usize];
            let role = Some(role).filter(|_| person < 2);
            self.roles.row()?.text(&*id).text(&*contact).text(role).flag(person == 0);
        }
        Ok(())
    }
}

/// Returns how many contacts of an account have a role in its deals.
pub fn roles(profile: &Profile) -> u32 {
    u32::from(profile.contacts.min(3))
}
