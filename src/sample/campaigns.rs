//! The campaigns and when they run.

use super::calendar::{Calendar, LEAP_DAY};
use super::dice::Dice;

/// A campaign.
pub struct Campaign {
    /// Its name.
    pub name: &'static str,
    /// Its channel.
    pub channel: u8,
    /// Its type.
    pub kind: &'static str,
    /// Its first day.
    pub start_day: i32,
    /// The day after its last one; `None` for one that never ends.
    pub end_day: Option<i32>,
    /// Where its ads are bought, and in what currency; empty where none are.
    pub platforms: &'static [(&'static str, &'static str)],
}

type Plan = (&'static str, u8, &'static str, Option<(f64, f64)>, &'static [(&'static str, &'static str)]);

const SEARCH: &[(&str, &str)] = &[("google_ads", "USD"), ("microsoft_ads", "EUR")];
const SOCIAL: &[(&str, &str)] = &[("linkedin_ads", "USD"), ("meta_ads", "GBP")];
const DISPLAY: &[(&str, &str)] = &[("google_display", "USD")];
const DISPLAY_EU: &[(&str, &str)] = &[("criteo", "EUR")];
const EVENTS: &[(&str, &str)] = &[("event_desk", "USD")];
const EVENTS_EU: &[(&str, &str)] = &[("event_desk", "EUR")];
const PARTNER: &[(&str, &str)] = &[("partner_portal", "USD")];
const CONTENT: &[(&str, &str)] = &[("content_network", "USD")];
const CONTENT_UK: &[(&str, &str)] = &[("content_network", "GBP")];

/// Name, channel, type, its run in shares of the history, and platforms.
const PLANS: [Plan; 32] = [
    ("Search - Brand", 0, "always_on", None, SEARCH),
    ("Search - Category", 0, "always_on", None, SEARCH),
    ("Search - Competitors", 0, "push", Some((0.25, 0.62)), SEARCH),
    ("Search - Integrations", 0, "push", Some((0.55, 1.0)), SEARCH),
    ("Social - Retargeting", 1, "always_on", None, SOCIAL),
    ("Social - Ops leaders", 1, "push", Some((0.0, 0.35)), SOCIAL),
    ("Social - Finance leaders", 1, "push", Some((0.33, 0.7)), SOCIAL),
    ("Social - Customer stories", 1, "push", Some((0.68, 1.0)), SOCIAL),
    ("Display - Awareness", 2, "push", Some((0.0, 0.45)), DISPLAY),
    ("Display - Retargeting EU", 2, "push", Some((0.2, 0.9)), DISPLAY_EU),
    ("Display - Relaunch", 2, "push", Some((0.6, 1.0)), DISPLAY),
    ("SaaS Summit", 3, "conference", Some((0.05, 0.3)), EVENTS),
    ("RevOps Days Berlin", 3, "conference", Some((0.3, 0.6)), EVENTS_EU),
    ("Field dinners", 3, "field", None, EVENTS),
    ("Autumn roadshow", 3, "field", Some((0.75, 1.0)), EVENTS_EU),
    ("Partner - Resellers", 4, "always_on", None, PARTNER),
    ("Partner - Marketplace", 4, "push", Some((0.4, 1.0)), PARTNER),
    ("Content - Benchmark report", 5, "always_on", None, CONTENT),
    ("Content - Podcast", 5, "push", Some((0.15, 0.55)), CONTENT_UK),
    ("Content - Webinar series", 5, "push", Some((0.5, 1.0)), CONTENT),
    ("Email - Newsletter", 6, "always_on", None, &[]),
    ("Email - Nurture", 6, "always_on", None, &[]),
    ("Email - Product news", 6, "always_on", None, &[]),
    ("Email - Win back", 6, "push", Some((0.4, 0.9)), &[]),
    ("Organic - Blog", 7, "always_on", None, &[]),
    ("Organic - Docs", 7, "always_on", None, &[]),
    ("Referral - Advocates", 9, "always_on", None, &[]),
    ("Referral - Credits", 9, "push", Some((0.3, 0.8)), &[]),
    ("Outbound - Enterprise", 10, "always_on", None, &[]),
    ("Outbound - Mid-market", 10, "always_on", None, &[]),
    ("Outbound - Expansion", 10, "push", Some((0.5, 1.0)), &[]),
    ("Leap year offer", 6, "push", Some((-1.0, -1.0)), &[]),
];

/// All campaigns.
pub struct Campaigns(Vec<Campaign>);

impl Campaigns {
    /// Returns the campaigns of a history.
    pub fn new(calendar: &Calendar) -> Self {
        let first = calendar.first_day(0);
        let length = f64::from(calendar.first_day(calendar.months()) - first);
        let day = |share: f64| first + (length * share) as i32;
        let campaign = |plan: &Plan| {
            let (name, channel, kind, run, platforms) = *plan;
            let (start_day, end_day) = match run {
                None => (first, None),
                Some((from, _)) if from < 0.0 => (LEAP_DAY, Some(LEAP_DAY + 1)),
                Some((from, to)) => (day(from), Some(day(to).max(day(from) + 1))),
            };
            Campaign { name, channel, kind, start_day, end_day, platforms }
        };
        Self(PLANS.iter().map(campaign).collect())
    }

    /// Returns every campaign with its place.
    pub fn all(&self) -> impl Iterator<Item = (u8, &Campaign)> {
        (0..).zip(&self.0)
    }

    /// Returns the id of a campaign.
    pub fn id(place: u8) -> String {
        format!("CMP-{:02}", place + 1)
    }

    /// Draws a campaign of a channel that runs on a day.
    pub fn draw(&self, dice: &mut Dice, channel: u8, day: i32) -> Option<u8> {
        let count = self.0.iter().filter(|campaign| campaign.channel == channel && campaign.runs_on(day)).count();
        let chosen = dice.between(0, (count as i64 - 1).max(0)) as usize;
        let mut running = self.all().filter(|(_, campaign)| campaign.channel == channel && campaign.runs_on(day));
        running.nth(chosen).map(|(place, _)| place)
    }
}

impl Campaign {
    /// Returns whether it runs on a day.
    pub fn runs_on(&self, day: i32) -> bool {
        self.start_day <= day && self.end_day.is_none_or(|end| day < end)
    }
}
