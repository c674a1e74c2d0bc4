//! Edge cases that every sample must have, and which account carries which.
//!
//! Of each 150 accounts in a row, each quirk has one: from 300 accounts on, every case is there, whatever the seed.

use super::company::Company;
use super::dice::mix;

/// What is out of the ordinary about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Nothing.
    Plain,
    /// Merged into the next account, which is `MergedTwice`.
    MergedOnce,
    /// Merged into the next account, which is `Survivor`.
    MergedTwice,
    /// What the two before are merged into.
    Survivor,
    /// Merged into the next account, which is merged into this one.
    CycleFirst,
    /// Merged into the account before.
    CycleSecond,
    /// Merged into itself.
    SelfMerged,
    /// Merged into an account that does not exist.
    MergedIntoNothing,
    /// A deleted duplicate of the next account: no domain, its contacts' addresses are what is left.
    DuplicateByEmail,
    /// A deleted duplicate of the next account, which has no domain: its domain is what is left.
    DuplicateByDomain,
    /// An account whose domain is unknown; the one before knows it.
    NoDomain,
    /// Deleted and not merged.
    Deleted,
    /// An account with the domain of a free mail service.
    FreeMailDomain,
    /// A contact has the address of a contact of the next account.
    SharedEmail,
    /// Addresses in upper case and with spaces around.
    UntidyEmail,
    /// Contacts merged in a chain, the first ones deleted.
    MergedContacts,
    /// Two contacts merged into each other, and one into itself.
    ContactCycle,
    /// A lead merged into another one, and two merged into each other.
    MergedLeads,
    /// Created on a leap day.
    LeapDay,
    /// A deal without account and one with an unknown account.
    LostDeals,
    /// Touches at both ends of the lookback of the first win, just outside, and several at one instant.
    LookbackEnds,
    /// Two wins at one instant, the first of a month.
    TwinWins,
    /// Facts of every kind just before, at and after `as_of`.
    AsOfEdges,
    /// A win without an amount.
    NoAmount,
    /// A win of 0.
    ZeroAmount,
    /// A currency that has no rate.
    NoRate,
    /// A currency whose rates start after its first facts.
    LateRate,
    /// A won and a lost deal that nobody closed.
    NotClosed,
    /// A win without a history.
    NoHistory,
    /// A customer whom no touch ever reached.
    Untouched,
    /// Touches only after the first payment.
    LateTouches,
    /// A negative price, a negative quantity, a full discount and an item that starts in future.
    OddItems,
    /// Items by the day, the week and the quarter.
    OddIntervals,
    /// A subscription, an invoice and a payment of a customer who does not exist.
    Orphans,
    /// A billing customer known by a contact's address only.
    CustomerByEmail,
    /// A billing customer known by the domain only.
    CustomerByDomain,
    /// A billing customer nobody knows.
    CustomerUnknown,
    /// A deleted billing customer.
    CustomerDeleted,
    /// Two billing customers merged into the one with the subscription, in a chain, and two in a cycle.
    CustomersMerged,
}

use Quirk::{
    AsOfEdges, ContactCycle, CustomerByDomain, CustomerByEmail, CustomerDeleted, CustomerUnknown, CustomersMerged,
    CycleFirst, CycleSecond, Deleted, DuplicateByDomain, DuplicateByEmail, FreeMailDomain, LateRate, LateTouches,
    LeapDay, LookbackEnds, LostDeals, MergedContacts, MergedIntoNothing, MergedLeads, MergedOnce, MergedTwice,
    NoAmount, NoDomain, NoHistory, NoRate, NotClosed, OddIntervals, OddItems, Orphans, Plain, SelfMerged, SharedEmail,
    Survivor, TwinWins, UntidyEmail, Untouched, ZeroAmount,
};

/// One account in so many has each quirk.
const PERIOD: u64 = 150;
/// The quirks in the order of accounts: those that speak of the next account stand before it.
const ORDER: [Quirk; 59] = [
    MergedOnce,
    MergedTwice,
    Survivor,
    Plain,
    CycleFirst,
    CycleSecond,
    SelfMerged,
    MergedIntoNothing,
    Plain,
    DuplicateByEmail,
    Plain,
    DuplicateByDomain,
    NoDomain,
    Deleted,
    FreeMailDomain,
    SharedEmail,
    Plain,
    UntidyEmail,
    MergedContacts,
    ContactCycle,
    MergedLeads,
    LeapDay,
    LostDeals,
    Plain,
    Plain,
    LookbackEnds,
    Plain,
    TwinWins,
    Plain,
    AsOfEdges,
    Plain,
    NoAmount,
    Plain,
    ZeroAmount,
    NoRate,
    Plain,
    LateRate,
    Plain,
    NotClosed,
    Plain,
    NoHistory,
    Plain,
    Untouched,
    Plain,
    LateTouches,
    Plain,
    OddItems,
    Plain,
    OddIntervals,
    Plain,
    Orphans,
    Plain,
    CustomerByEmail,
    CustomerByDomain,
    CustomerUnknown,
    Plain,
    CustomerDeleted,
    CustomersMerged,
    Plain,
];

impl Quirk {
    /// Returns the quirk of an account.
    pub fn of(company: &Company, index: u64) -> Self {
        if !company.is_account(index) {
            return Plain;
        }
        let residue = (index + mix(company.seed) % PERIOD) % PERIOD;
        ORDER.get(residue as usize).copied().unwrap_or(Plain)
    }

    /// Returns whether the account must become a customer for the quirk to be seen.
    pub fn is_customer(self) -> bool {
        matches!(
            self,
            LookbackEnds | TwinWins | AsOfEdges | NoAmount | ZeroAmount | NoRate | LateRate | NotClosed | NoHistory
        ) || matches!(self, Untouched | LateTouches | OddItems | OddIntervals | LeapDay | Survivor | NoDomain)
            || matches!(self, CustomerByEmail | CustomerByDomain | CustomerUnknown | CustomerDeleted | CustomersMerged)
    }

    /// Returns whether the account is a duplicate of another one and sells nothing by itself.
    pub fn is_duplicate(self) -> bool {
        matches!(
            self,
            MergedOnce | MergedTwice | CycleSecond | MergedIntoNothing | DuplicateByEmail | DuplicateByDomain | Deleted
        )
    }

    /// Returns the id the account is merged into.
    pub fn merged_into(self, company: &Company, index: u64) -> Option<String> {
        let next = || company.is_account(index + 1).then(|| company.id("A", index + 1));
        match self {
            MergedOnce | MergedTwice | CycleFirst | DuplicateByEmail | DuplicateByDomain => next(),
            CycleSecond => index.checked_sub(1).map(|before| company.id("A", before)),
            SelfMerged => Some(company.id("A", index)),
            MergedIntoNothing => Some(company.unknown_id("A")),
            _ => None,
        }
    }

    /// Returns whether the account is deleted.
    pub fn is_deleted(self) -> bool {
        matches!(self, MergedOnce | DuplicateByEmail | DuplicateByDomain | Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SampleOptions;
    use super::*;

    #[test]
    fn every_quirk_is_there_from_300_accounts_on() {
        for seed in 0..40 {
            let company = Company::new(&SampleOptions { accounts: 300, months: 30, seed });
            let all: Vec<_> = (0..300).map(|index| Quirk::of(&company, index)).collect();
            for run in ORDER.windows(2) {
                assert!(all.windows(2).any(|pair| pair == run), "seed {seed}: {run:?}");
            }
        }
    }
}
