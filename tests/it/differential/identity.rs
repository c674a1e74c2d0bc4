//! Who is who: merges, and to which live account a row belongs.

use super::calendar::day;
use super::company::{Company, Lead, REPORTING_CURRENCY, Rows};
use super::exact::rounded;

const FREE_MAIL: [&str; 15] = [
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "yahoo.com",
    "icloud.com",
    "proton.me",
    "protonmail.com",
    "aol.com",
    "gmx.com",
    "gmx.de",
    "web.de",
    "mail.com",
    "live.com",
    "msn.com",
    "qq.com",
];

/// Returns the row that a row ends as: the end of its chain, or the smallest id of the cycle that it leads into.
pub fn survivor<T>(rows: &Rows<T>, id: &str, merged_into: fn(&T) -> Option<&str>) -> Option<String> {
    let mut chain = vec![rows.get_key_value(id)?.0.clone()];
    loop {
        let last = &chain[chain.len() - 1];
        let Some(next) = merged_into(&rows[last]).filter(|next| rows.contains_key(*next)) else {
            return Some(last.clone());
        };
        if let Some(place) = chain.iter().position(|seen| seen == next) {
            return chain[place..].iter().min().cloned();
        }
        chain.push(next.to_owned());
    }
}

/// Returns a text as emails and domains are compared; `None` where nothing is left.
fn normal(text: Option<&str>) -> Option<String> {
    let text = text?.trim_matches('"').trim_matches([' ', '\t', '\n', '\r']).to_lowercase();
    (!text.is_empty()).then_some(text)
}

/// A company as identity sees it: leads at or after `as_of` do not exist.
pub struct Identity<'a> {
    pub company: &'a Company,
    pub leads: Rows<Lead>,
}

impl<'a> Identity<'a> {
    pub fn of(company: &'a Company) -> Self {
        let known = company.leads.iter().filter(|(_, lead)| lead.created_at < company.as_of);
        Self { company, leads: known.map(|(id, lead)| (id.clone(), lead.clone())).collect() }
    }

    pub fn live_account(&self, id: Option<&str>) -> Option<String> {
        let id = survivor(&self.company.accounts, id?, |row| row.merged_into.as_deref())?;
        (!self.company.accounts[&id].is_deleted).then_some(id)
    }

    pub fn contact(&self, id: Option<&str>) -> Option<String> {
        survivor(&self.company.contacts, id?, |row| row.merged_into.as_deref())
    }

    pub fn lead(&self, id: Option<&str>) -> Option<String> {
        survivor(&self.leads, id?, |row| row.merged_into.as_deref())
    }

    /// Returns the leads that count by themselves, with the account that each was converted to.
    pub fn live_leads(&self) -> impl Iterator<Item = (&String, &Lead, Option<String>)> {
        let live = self.leads.iter().filter(|(id, lead)| !lead.is_deleted && self.lead(Some(id)).as_ref() == Some(*id));
        live.map(|(id, lead)| (id, lead, self.live_account(lead.account.as_deref())))
    }

    fn account_of_contact(&self, id: Option<&str>) -> Option<String> {
        let contact = &self.company.contacts[&self.contact(id)?];
        if contact.is_deleted { None } else { self.live_account(contact.account.as_deref()) }
    }

    fn account_of_lead(&self, id: Option<&str>) -> Option<String> {
        let lead = &self.leads[&self.lead(id)?];
        if lead.is_deleted { None } else { self.live_account(lead.account.as_deref()) }
    }

    fn account_of_contact_email(&self, email: &str) -> Option<String> {
        let same = self.company.contacts.iter().filter(|(_, row)| normal(row.email).as_deref() == Some(email));
        same.filter_map(|(id, _)| self.account_of_contact(Some(id))).next()
    }

    fn account_of_lead_email(&self, email: &str) -> Option<String> {
        let same = self.leads.iter().filter(|(_, row)| normal(row.email).as_deref() == Some(email));
        same.filter_map(|(id, _)| self.account_of_lead(Some(id))).next()
    }

    fn account_of_domain(&self, email: &str) -> Option<String> {
        let domain = email.rsplit_once('@')?.1;
        if FREE_MAIL.contains(&domain) {
            return None;
        }
        let same = self.company.accounts.iter().filter(|(_, row)| normal(row.domain).as_deref() == Some(domain));
        same.filter_map(|(id, _)| self.live_account(Some(id))).next()
    }

    pub fn account_of_touch(&self, id: &str) -> Option<String> {
        let touch = &self.company.touches[id];
        let email = normal(touch.email);
        self.live_account(touch.account.as_deref())
            .or_else(|| self.account_of_contact(touch.contact.as_deref()))
            .or_else(|| self.account_of_lead(touch.lead.as_deref()))
            .or_else(|| self.account_of_contact_email(email.as_deref()?))
            .or_else(|| self.account_of_lead_email(email.as_deref()?))
            .or_else(|| self.account_of_domain(email.as_deref()?))
    }

    /// Returns the entity of a billing customer; `None` where the customer is unknown.
    pub fn entity(&self, customer: &str) -> Option<String> {
        let id = survivor(&self.company.customers, customer, |row| row.merged_into.as_deref())?;
        let customer = &self.company.customers[&id];
        let email = normal(customer.email);
        let account = self
            .live_account(customer.account.as_deref())
            .or_else(|| self.account_of_contact_email(email.as_deref()?))
            .or_else(|| self.account_of_domain(email.as_deref()?));
        Some(account.unwrap_or_else(|| format!("billing:{id}")))
    }

    pub fn segment(&self, account: &str) -> String {
        let segment = self.company.accounts.get(account).and_then(|row| row.segment);
        segment.unwrap_or("NULL").to_owned()
    }

    /// Returns cents in the reporting currency at the rate of an instant's day; without a rate 0.
    pub fn converted(&self, cents: i128, currency: &'static str, at: i64) -> i128 {
        let last = day(self.company.zone, self.company.as_of - 1);
        rounded(cents * self.rate(currency, day(self.company.zone, at).min(last)), 100_000_000)
    }

    /// Returns the latest rate on or before a day, in hundred-millionths; 0 where there is none.
    pub fn rate(&self, currency: &'static str, on: chrono::NaiveDate) -> i128 {
        if currency == REPORTING_CURRENCY {
            return 100_000_000;
        }
        let known = on.min(day(self.company.zone, self.company.as_of - 1));
        let before = self.company.rates.range((currency, chrono::NaiveDate::MIN)..=(currency, known));
        before.last().map_or(0, |(_, rate)| *rate)
    }
}
