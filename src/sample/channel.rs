//! Marketing channels and what people do there.

use super::dice::Dice;

/// The channels; those up to `PAID` are bought.
pub const CHANNELS: [&str; 11] = [
    "paid_search",
    "paid_social",
    "display",
    "events",
    "partner",
    "content",
    "email",
    "organic",
    "direct",
    "referral",
    "outbound",
];
/// How many channels have ad spend: the first ones.
pub const PAID: u8 = 6;
/// The place of `email`.
pub const EMAIL: u8 = 6;
/// The place of `direct`.
pub const DIRECT: u8 = 8;

const FIRST: [f64; 11] = [0.21, 0.14, 0.06, 0.06, 0.05, 0.10, 0.03, 0.18, 0.08, 0.05, 0.04];
const RESEARCH: [f64; 11] = [0.11, 0.10, 0.09, 0.04, 0.03, 0.14, 0.16, 0.14, 0.13, 0.02, 0.04];
const DEAL: [f64; 11] = [0.09, 0.07, 0.05, 0.07, 0.04, 0.10, 0.20, 0.07, 0.13, 0.03, 0.15];
const LATER: [f64; 11] = [0.03, 0.03, 0.04, 0.06, 0.02, 0.13, 0.36, 0.07, 0.20, 0.02, 0.04];

const TOUCH_TYPES: [[&str; 3]; 11] = [
    ["ad_click", "ad_click", "form_fill"],
    ["ad_click", "ad_view", "form_fill"],
    ["ad_view", "ad_view", "ad_click"],
    ["event_attended", "booth_visit", "event_registered"],
    ["partner_intro", "web_visit", "co_webinar"],
    ["content_download", "webinar_attended", "web_visit"],
    ["email_open", "email_click", "email_click"],
    ["web_visit", "web_visit", "form_fill"],
    ["web_visit", "web_visit", "demo_request"],
    ["web_visit", "referral_intro", "form_fill"],
    ["call", "email_reply", "meeting"],
];

/// What an account is about when it is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It looks around.
    Research,
    /// A deal is open.
    Deal,
    /// It is a customer, or was lost.
    Later,
}

/// Draws the channel by which an account first hears of the company.
pub fn first(dice: &mut Dice) -> u8 {
    dice.weighted(&FIRST) as u8
}

/// Draws the channel of a touch.
pub fn of_touch(dice: &mut Dice, phase: Phase) -> u8 {
    let weights = match phase {
        Phase::Research => &RESEARCH,
        Phase::Deal => &DEAL,
        Phase::Later => &LATER,
    };
    dice.weighted(weights) as u8
}

/// Returns the name of a channel.
pub fn name(channel: u8) -> &'static str {
    CHANNELS[usize::from(channel)]
}

/// Returns the n-th type of touch of a channel, of three.
pub fn touch_type(channel: u8, n: u8) -> &'static str {
    TOUCH_TYPES[usize::from(channel)][usize::from(n % 3)]
}
