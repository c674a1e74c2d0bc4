//! What all parts of the sample share: the seed, the calendar, how many accounts come when, and the ids.

use super::SampleOptions;
use super::calendar::{AS_OF, Calendar, DAY, SECOND, month_of_year};
use super::campaigns::Campaigns;
use super::dice::Dice;

/// New accounts grow by this factor a month in a short history.
const MONTHLY_GROWTH: f64 = 1.03;
/// New accounts of the last month over those of the first in a long history.
const TOTAL_GROWTH_MAX: f64 = 20.0;
/// What the seed is mixed with: with it, seed 7 of the examples makes a small company without a freak month.
const SALT: u64 = 310;
/// The first two months start with a list of prospects.
const LAUNCH_FACTOR: f64 = 1.5;
/// New accounts by month of the year, January first: summer and the end of the year are quiet.
const SEASON: [f64; 12] = [1.05, 1.02, 1.08, 1.02, 1.03, 0.98, 0.88, 0.85, 1.08, 1.10, 1.05, 0.80];
/// People who never become an account, for each account.
const STRANGERS_PER_ACCOUNT: f64 = 0.55;

/// The company to make.
pub struct Company {
    /// The seed of every draw.
    pub seed: u64,
    /// How many accounts there are; they are numbered from 0.
    pub accounts: u64,
    /// How many people without an account there are; they are numbered after the accounts.
    pub strangers: u64,
    /// The months of the history.
    pub calendar: Calendar,
    /// The campaigns.
    pub campaigns: Campaigns,
    /// The share of accounts that have arrived by the end of each month.
    arrived: Vec<f64>,
    /// Digits of an account's number in ids.
    id_width: usize,
}

impl Company {
    /// Returns the company of valid options.
    pub fn new(options: &SampleOptions) -> Self {
        let calendar = Calendar::new(options.months);
        let growth = MONTHLY_GROWTH.min(TOTAL_GROWTH_MAX.powf(1.0 / calendar.months() as f64));
        let mut arrived = Vec::with_capacity(calendar.months());
        let mut total = 0.0;
        for month in 0..calendar.months() {
            let season = SEASON[(month_of_year(calendar.first_day(month)) - 1) as usize];
            let launch = if month < 2 { LAUNCH_FACTOR } else { 1.0 };
            total += growth.powi(month as i32) * season * launch;
            arrived.push(total);
        }
        arrived.iter_mut().for_each(|share| *share /= total);
        let strangers = (options.accounts as f64 * STRANGERS_PER_ACCOUNT).ceil() as u64;
        let id_width = (options.accounts + strangers).to_string().len().max(7);
        let campaigns = Campaigns::new(&calendar);
        let seed = options.seed ^ SALT;
        Self { seed, accounts: options.accounts, strangers, calendar, campaigns, arrived, id_width }
    }

    /// Returns how many accounts and strangers there are.
    pub fn population(&self) -> u64 {
        self.accounts + self.strangers
    }

    /// Returns whether a number is one of an account, not of a stranger.
    pub fn is_account(&self, index: u64) -> bool {
        index < self.accounts
    }

    /// Returns the share of accounts that arrive in a month.
    pub fn share_of_arrivals(&self, month: usize) -> f64 {
        let before = if month == 0 { 0.0 } else { self.arrived[month - 1] };
        self.arrived[month] - before
    }

    /// Draws the instant, to the second, at which someone first hears of the company.
    pub fn arrival(&self, dice: &mut Dice) -> i64 {
        let share = dice.unit();
        let month = self.arrived.partition_point(|arrived| *arrived <= share).min(self.calendar.months() - 1);
        let (from, to) = (self.calendar.start_of(month), self.calendar.start_of(month + 1));
        seconds(from + (dice.unit() * (to - from) as f64) as i64)
    }

    /// Returns the first instant of the first month that starts at or after an instant; `None` if there is none.
    pub fn month_start_after(&self, at: i64) -> Option<i64> {
        let next = (0..self.calendar.months()).map(|month| self.calendar.start_of(month));
        next.into_iter().find(|start| *start >= at && *start < AS_OF)
    }

    /// Returns the id of an account or of anything of which an account has one.
    pub fn id(&self, prefix: &str, index: u64) -> String {
        let mut id = String::with_capacity(prefix.len() + self.id_width);
        id.push_str(prefix);
        push_digits(&mut id, index + 1, self.id_width);
        id
    }

    /// Returns the id of the n-th of something of an account; `width` digits hold the number.
    pub fn id_of(&self, prefix: &str, index: u64, n: u32, width: usize) -> String {
        let mut id = String::with_capacity(prefix.len() + self.id_width + 1 + width);
        id.push_str(prefix);
        push_digits(&mut id, index + 1, self.id_width);
        id.push('-');
        push_digits(&mut id, u64::from(n), width);
        id
    }

    /// Returns an id that no account has.
    pub fn unknown_id(&self, prefix: &str) -> String {
        self.id(prefix, 10_u64.pow(self.id_width as u32) - 2)
    }
}

/// Returns an instant cut to the second.
pub fn seconds(at: i64) -> i64 {
    at - at.rem_euclid(SECOND)
}

/// Returns a number of days in microseconds, cut to the second.
pub fn days(count: f64) -> i64 {
    seconds((count * DAY as f64) as i64)
}

fn push_digits(text: &mut String, value: u64, width: usize) {
    let mut place = 10_u64.pow(width.saturating_sub(1) as u32);
    while place * 10 <= value {
        place *= 10;
    }
    while place > 0 {
        text.push(char::from(b'0' + (value / place % 10) as u8));
        place /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(accounts: u64) -> Company {
        Company::new(&SampleOptions { accounts, months: 30, seed: 7 })
    }

    #[test]
    fn ids_are_padded_and_never_cut() {
        let small = company(300);
        assert_eq!(small.id("A", 0), "A0000001");
        assert_eq!(small.id_of("T", 41, 17_003, 6), "T0000042-017003");
        assert_eq!(small.id_of("C", 0, 12, 1), "C0000001-12");
        assert_eq!(company(9_000_000).id("A", 0), "A00000001");
    }

    #[test]
    fn arrivals_add_up_to_every_account() {
        let company = company(300);
        let shares: f64 = (0..company.calendar.months()).map(|month| company.share_of_arrivals(month)).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
}
