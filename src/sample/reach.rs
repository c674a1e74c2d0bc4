//! The tables of `campaign`.

use std::path::Path;

use super::calendar::{AS_OF_DAY, day_of, month_of_year};
use super::campaigns::{Campaign, Campaigns};
use super::channel::{self, CHANNELS, PAID};
use super::company::Company;
use super::dice::{Dice, Stream};
use super::finance::monthly_budget;
use super::journey::{Journey, NO_CAMPAIGN, Touch, Who};
use super::names::private_address;
use super::people::{address, lead_address, office_address};
use super::profile::Profile;
use super::sales::Sales;
use super::table::TableWriter;
use super::{Census, Progress, SampleTable, schema};
use crate::error::Result;

/// The share of the cost of sales and marketing that is ad spend.
const AD_SHARE: f64 = 0.40;
/// The share of ad spend of each paid channel.
const CHANNEL_SHARES: [f64; 6] = [0.30, 0.20, 0.10, 0.18, 0.09, 0.13];
/// Cents of a click by paid channel; events and partners have none.
const CLICK_CENTS: [f64; 6] = [420.0, 610.0, 140.0, 0.0, 0.0, 230.0];
/// Spend of a weekend day over that of a working day.
const WEEKEND_FACTOR: f64 = 0.45;
/// Touches that are held and sorted at once: about 100 MB.
const TOUCHES_MAX: u64 = 3_000_000;

/// Writes the campaigns.
pub fn write_campaigns(company: &Company, out: &Path) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::CAMPAIGNS, 0);
    for (place, campaign) in company.campaigns.all() {
        let platform = campaign.platforms.first();
        let share = platform.map(|_| CHANNEL_SHARES[usize::from(campaign.channel)]);
        let budget = share.map(|share| monthly_budget(company, 0) * AD_SHARE * share * 3.0);
        writer
            .row()?
            .text(&*Campaigns::id(place))
            .text(campaign.name)
            .text(channel::name(campaign.channel))
            .text(campaign.kind)
            .date(campaign.start_day)
            .date(campaign.end_day)
            .decimal(budget.map(|budget| (budget / 100.0) as i64 * 10_000))
            .text(platform.map(|(_, currency)| *currency));
    }
    writer.finish()
}

/// Writes the daily ad spend of each running campaign and platform.
pub fn write_spend(company: &Company, out: &Path) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::SPEND, 0);
    for month in 0..company.calendar.months() {
        let (first, next) = (company.calendar.first_day(month), company.calendar.first_day(month + 1));
        for day in first..next {
            write_spend_day(company, &mut writer, month, day)?;
        }
    }
    // Spend of a day that has not come yet.
    write_spend_day(company, &mut writer, company.calendar.months() - 1, AS_OF_DAY)?;
    writer.finish()
}

fn write_spend_day(company: &Company, writer: &mut TableWriter, month: usize, day: i32) -> Result<()> {
    let budget = monthly_budget(company, month) * AD_SHARE;
    // 1970-01-01 was a Thursday.
    let of_week = (day + 3).rem_euclid(7);
    let factor = if of_week >= 5 { WEEKEND_FACTOR } else { 1.22 };
    for paid in 0..PAID {
        let running = |(_, campaign): &(u8, &Campaign)| campaign.channel == paid && campaign.runs_on(day);
        let count: usize = company.campaigns.all().filter(running).map(|(_, campaign)| campaign.platforms.len()).sum();
        if is_dark(paid, day) {
            continue;
        }
        for (place, campaign) in company.campaigns.all().filter(running) {
            for (number, (platform, currency)) in (0..).zip(campaign.platforms) {
                // Small platforms and field work are booked by the week, not by the day.
                let is_weekly = number > 0 || paid >= 3;
                if is_weekly && of_week != 1 {
                    continue;
                }
                let part = u64::from(place) * 8 + number;
                let dice = &mut Dice::new(company.seed, Stream::Spend, day as u64, part);
                let days = if is_weekly { 7.0 } else { factor };
                let amount = budget * CHANNEL_SHARES[usize::from(paid)] / count as f64 * days / 30.4;
                let amount = (amount * dice.lognormal(1.0, 0.18) * 100.0).max(1.0) as i64;
                write_spend_row(writer, dice, (day, place, paid), (platform, currency), amount)?;
            }
        }
    }
    Ok(())
}

fn write_spend_row(
    writer: &mut TableWriter,
    dice: &mut Dice,
    (day, campaign, paid): (i32, u8, u8),
    (platform, currency): (&str, &str),
    amount: i64,
) -> Result<()> {
    let price = CLICK_CENTS[usize::from(paid)];
    let clicks = (price > 0.0).then(|| (amount as f64 / (price * dice.uniform(0.8, 1.25))).round() as i64);
    let impressions = clicks.map(|clicks| clicks * dice.between(35, 90) + dice.between(0, 60));
    writer
        .row()?
        .date(day)
        .text(&*Campaigns::id(campaign))
        .text(channel::name(paid))
        .text(platform)
        .decimal(amount)
        .text(currency)
        .int(impressions)
        .int(clicks);
    Ok(())
}

/// Returns whether a channel has no spend at all in the month of a day: display rests in winter, events in summer and
/// around the new year, partners are paid in three of four months.
fn is_dark(paid: u8, day: i32) -> bool {
    let month = month_of_year(day);
    match CHANNELS[usize::from(paid)] {
        "display" => month == 1 || month == 2,
        "events" => matches!(month, 1 | 7 | 8 | 12),
        "partner" => month % 4 == 0,
        _ => false,
    }
}

/// Writes the touches in the order of time, some months at once.
pub fn write_touches(company: &Company, out: &Path, census: &Census, progress: &mut Progress) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::TOUCHES, census.touches.iter().sum());
    let months = company.calendar.months();
    let mut from = 0;
    let mut touches = Vec::new();
    while from < months {
        let (mut to, mut count) = (from + 1, census.touches[from]);
        while to < months && count + census.touches[to] <= TOUCHES_MAX {
            count += census.touches[to];
            to += 1;
        }
        touches.clear();
        for index in 0..company.population() {
            progress.step((to - from) as u64);
            if census.is_touched(index, from..to) {
                let profile = Profile::new(company, index);
                let sales = Sales::new(company, &profile);
                Journey::new(company, profile, &sales).draw(from..to, &mut touches);
            }
        }
        touches.sort_unstable_by_key(Touch::order);
        for touch in &touches {
            write_touch(company, &mut writer, touch)?;
        }
        from = to;
    }
    writer.finish()
}

fn write_touch(company: &Company, writer: &mut TableWriter, touch: &Touch) -> Result<()> {
    let index = u64::from(touch.account);
    let contact = |n: u8| company.id_of("C", index, u32::from(n), 1);
    let (mut account, mut person, mut lead, mut email) = (None, None, None, None);
    match touch.who {
        Who::Contact(n) => person = Some(contact(n)),
        Who::ContactAndEmail(n) => (person, email) = (Some(contact(n)), address(company, index, u32::from(n))),
        Who::ContactEmail(n) => email = address(company, index, u32::from(n)),
        Who::Lead(n) => lead = Some(company.id_of("L", index, u32::from(n), 1)),
        Who::LeadEmail(n) => email = lead_address(company, index, u32::from(n)),
        Who::Domain => email = Some(office_address(company, index)),
        Who::Account => account = Some(company.id("A", index)),
        Who::Stranger => email = Some(private_address(company, index, u64::from(day_of(touch.touched_at) as u32))),
        Who::Nobody => {}
    }
    let campaign = (touch.campaign != NO_CAMPAIGN).then(|| Campaigns::id(touch.campaign));
    writer
        .row()?
        .text(&*company.id_of("T", index, touch.number, 6))
        .instant(touch.touched_at)
        .text(channel::touch_type(touch.channel, touch.kind))
        .text(channel::name(touch.channel))
        .text(campaign.as_deref())
        .text(account.as_deref())
        .text(person.as_deref())
        .text(lead.as_deref())
        .text(email.as_deref());
    Ok(())
}
