//! Addresses of contacts and leads, and the domains of accounts.

use super::calendar::{DAY, HOUR, LEAP_DAY, instant};
use super::company::Company;
use super::dice::{Stream, mix};
use super::names::{domain, mailbox, private_address};
use super::profile::Profile;
use super::quirk::Quirk;

/// A contact of an account.
pub struct Contact {
    /// Whether its account was entered.
    pub has_account: bool,
    /// Its address.
    pub email: Option<String>,
    /// When it was created.
    pub created_at: i64,
    /// The id it is merged into.
    pub merged_into: Option<String>,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// Returns the contacts of an account.
pub fn contacts(company: &Company, profile: &Profile) -> Vec<Contact> {
    let index = profile.index;
    let id = |person: u32| Some(company.id_of("C", index, person, 1));
    (0..u32::from(profile.contacts))
        .map(|person| {
            let noise = noise(company, index, u64::from(person) + 100);
            let (merged_into, is_deleted) = match (profile.quirk, person) {
                (Quirk::MergedContacts, 1) => (id(2), true),
                (Quirk::MergedContacts, 2) => (id(0), true),
                (Quirk::MergedContacts, 3) => (Some(company.unknown_id("C")), false),
                (Quirk::ContactCycle, 1) => (id(2), false),
                (Quirk::ContactCycle, 2) => (id(1), false),
                (Quirk::ContactCycle, 3) => (id(3), false),
                _ => (None, noise % 97 == 5),
            };
            let created_at = match (profile.quirk, person) {
                (Quirk::LeapDay, 0) => instant(LEAP_DAY) + 9 * HOUR,
                _ => profile.created_at + i64::from(person) * (noise % 40) as i64 * DAY / 2,
            };
            let has_account = person == 0 || noise % 53 != 7;
            Contact { has_account, email: address(company, index, person), created_at, merged_into, is_deleted }
        })
        .collect()
}

/// Returns the address of a contact of an account.
pub fn address(company: &Company, index: u64, person: u32) -> Option<String> {
    let quirk = Quirk::of(company, index);
    let person = u64::from(person);
    let noise = noise(company, index, person);
    if quirk == Quirk::SharedEmail && person == 0 && company.is_account(index + 1) {
        return address(company, index + 1, 0);
    }
    if quirk == Quirk::FreeMailDomain || (noise % 100 < 6 && quirk == Quirk::Plain) {
        return Some(private_address(company, index, person));
    }
    if noise % 100 < 9 && quirk == Quirk::Plain && person > 0 {
        return None;
    }
    let address = format!("{}@{}", mailbox(company, index, person), domain(company, index));
    match quirk {
        Quirk::UntidyEmail if person == 0 => Some(format!("  {} ", address.to_ascii_uppercase())),
        _ if noise % 100 > 96 => Some(address.to_ascii_uppercase()),
        _ => Some(address),
    }
}

/// Returns the domain of an account as it stands in the CRM.
pub fn account_domain(company: &Company, profile: &Profile) -> Option<String> {
    match profile.quirk {
        Quirk::FreeMailDomain => Some("gmail.com".to_owned()),
        Quirk::DuplicateByEmail | Quirk::NoDomain => None,
        Quirk::UntidyEmail => Some(format!(" {} ", domain(company, profile.index).to_ascii_uppercase())),
        Quirk::Plain if noise(company, profile.index, 50) % 100 < 4 => None,
        _ => Some(domain(company, profile.index)),
    }
}

/// Returns the address of a lead: the first one is the first contact, the others are other people.
pub fn lead_address(company: &Company, index: u64, n: u32) -> Option<String> {
    if company.is_account(index) && n == 0 {
        return address(company, index, 0);
    }
    let person = u64::from(n) + 20;
    let noise = noise(company, index, person);
    if noise % 100 < if company.is_account(index) { 10 } else { 45 } {
        return Some(private_address(company, index, person));
    }
    Some(format!("{}@{}", mailbox(company, index, person), domain(company, index)))
}

/// Returns an address at the domain of a company that is nobody's.
pub fn office_address(company: &Company, index: u64) -> String {
    format!("office@{}", domain(company, index))
}

fn noise(company: &Company, index: u64, part: u64) -> u64 {
    mix(mix(company.seed ^ ((Stream::People as u64) << 40)) ^ (index << 9) ^ part) >> 4
}
