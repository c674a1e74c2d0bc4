//! Attribution, conversion by conversion: eligible touches, milestones, weights, cents.

use std::collections::BTreeSet;

use super::calendar::{day, month};
use super::company::{Company, Opportunity, Touch};
use super::exact::{Ratio, money};
use super::identity::Identity;
use super::{Row, flag};

pub const SQL: &str = "select opportunity_id, model, touch_id, month, opportunity_type, account_id,
        cast(touched_at as bigint) as touched_at, channel, campaign_id, position, touch_count, credit, is_complete,
        weight
    from attribution";

const MODELS: [&str; 10] = [
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "position_based",
    "time_decay",
    "u_shaped_hubspot",
    "u_shaped_marketo",
    "w_shaped",
    "full_path",
];

/// The touches of a conversion in order, and what its weights depend on. Places count from 0.
struct Path<'a> {
    touches: Vec<(&'a String, &'a Touch)>,
    closed_at: i64,
    half_life_days: f64,
    lead_created: Option<usize>,
    opportunity_created: Option<usize>,
}

/// Returns the rows of `metrics.attribution`.
pub fn expected(company: &Company) -> Vec<Row> {
    let identity = Identity::of(company);
    let mut rows = Vec::new();
    for (id, deal) in &company.opportunities {
        let Some(closed_at) = deal.closed_at.filter(|closed_at| *closed_at < company.as_of) else { continue };
        if deal.is_deleted || !deal.is_won || deal.created_at >= company.as_of {
            continue;
        }
        let account = identity.live_account(deal.account.as_deref());
        let value = identity.converted(deal.amount.unwrap_or(0), deal.currency, closed_at);
        let path = path(&identity, id, deal, closed_at, account.as_deref());
        for model in MODELS {
            let weights = if path.touches.is_empty() { vec![Ratio::ONE] } else { path.weights(model) };
            let (mut up_to, mut before) = (Ratio::ZERO, 0);
            for (place, weight) in weights.iter().enumerate() {
                up_to = if place + 1 == weights.len() { Ratio::ONE } else { up_to.plus(*weight) };
                let credit = up_to.cents_of(value) - before;
                before += credit;
                if weight.is_zero() {
                    assert_eq!(credit, 0, "{id} {model}: credit without weight");
                    continue;
                }
                let head = [id.as_str(), model];
                rows.push(row(
                    company,
                    deal,
                    closed_at,
                    account.as_deref(),
                    &head,
                    path.touches.get(place),
                    Place { position: place + 1, touch_count: path.touches.len(), weight: weight.to_double(), credit },
                ));
            }
        }
    }
    rows
}

struct Place {
    position: usize,
    touch_count: usize,
    weight: f64,
    credit: i128,
}

fn row(
    company: &Company,
    deal: &Opportunity,
    closed_at: i64,
    account: Option<&str>,
    head: &[&str; 2],
    touch: Option<&(&String, &Touch)>,
    place: Place,
) -> Row {
    let null = || "NULL".to_owned();
    let closed = month(day(company.zone, closed_at));
    let cells = vec![
        head[0].to_owned(),
        head[1].to_owned(),
        touch.map_or_else(null, |(id, _)| (*id).clone()),
        closed.to_string(),
        deal.kind.to_owned(),
        account.unwrap_or("NULL").to_owned(),
        touch.map_or_else(null, |(_, touch)| touch.touched_at.to_string()),
        touch.map_or("(unattributed)", |(_, touch)| touch.channel).to_owned(),
        touch.and_then(|(_, touch)| touch.campaign).unwrap_or("NULL").to_owned(),
        touch.map_or_else(null, |_| place.position.to_string()),
        place.touch_count.to_string(),
        money(place.credit),
        flag(closed < month(day(company.zone, company.as_of))),
    ];
    Row { cells, doubles: vec![Some(place.weight)] }
}

fn path<'a>(identity: &Identity<'a>, id: &str, deal: &Opportunity, closed_at: i64, account: Option<&str>) -> Path<'a> {
    let company = identity.company;
    let opening = closed_at - company.lookback_days * 86_400_000_000;
    let people = people_of_deal(identity, id);
    let mut touches: Vec<(&String, &Touch)> = company
        .touches
        .iter()
        .filter(|(_, touch)| opening <= touch.touched_at && touch.touched_at <= closed_at)
        .filter(|(id, _)| account.is_some() && identity.account_of_touch(id).as_deref() == account)
        .filter(|(_, touch)| {
            !company.has_contact_roles || person(identity, touch).is_some_and(|id| people.contains(&id))
        })
        .collect();
    touches.sort_by_key(|(id, touch)| (touch.touched_at, (*id).clone()));
    let carrier = |at: i64| touches.iter().rposition(|(_, touch)| touch.touched_at <= at);
    Path {
        lead_created: lead_created_at(identity, id, deal, account).and_then(carrier),
        opportunity_created: carrier(deal.created_at),
        closed_at,
        half_life_days: company.half_life_days,
        touches,
    }
}

fn people_of_deal(identity: &Identity, deal: &str) -> BTreeSet<String> {
    let roles = identity.company.roles.iter().filter(|(opportunity, _)| opportunity == deal);
    roles.filter_map(|(_, contact)| identity.contact(Some(contact))).collect()
}

/// Returns the contact that a touch is by, or that its lead was converted to.
fn person(identity: &Identity, touch: &Touch) -> Option<String> {
    identity.contact(touch.contact.as_deref()).or_else(|| {
        let lead = &identity.leads[&identity.lead(touch.lead.as_deref())?];
        identity.contact(lead.contact.as_deref())
    })
}

fn lead_created_at(identity: &Identity, id: &str, deal: &Opportunity, account: Option<&str>) -> Option<i64> {
    let of_deal = identity.live_leads().filter(|(_, lead, _)| lead.opportunity.as_deref() == Some(id));
    of_deal.map(|(_, lead, _)| lead.created_at).min().or_else(|| {
        let of_account = identity.live_leads().filter(|(_, _, of)| of.is_some() && of.as_deref() == account);
        of_account.map(|(_, lead, _)| lead.created_at).filter(|created_at| *created_at <= deal.created_at).min()
    })
}

impl Path<'_> {
    /// Returns the weight of each touch; they sum to 1.
    fn weights(&self, model: &str) -> Vec<Ratio> {
        let count = self.touches.len();
        let last = count - 1;
        let one_at = |place: usize| (0..count).map(|at| Ratio::new(i128::from(at == place), 1)).collect();
        let milestones = [Some(0), self.lead_created, self.opportunity_created, Some(last)];
        match model {
            "first_touch" => one_at(0),
            "last_touch" => one_at(last),
            "last_non_direct" => {
                one_at(self.touches.iter().rposition(|(_, touch)| touch.channel != "direct").unwrap_or(last))
            }
            "linear" => vec![Ratio::new(1, count as i128); count],
            "position_based" => self.position_based(),
            "time_decay" => self.time_decay(),
            "u_shaped_hubspot" => milestone_weights(count, &milestones[..2], Ratio::new(2, 5), Ratio::new(1, 5), last),
            "u_shaped_marketo" => milestone_weights(count, &milestones[..2], Ratio::new(1, 2), Ratio::ZERO, last),
            "w_shaped" => {
                let latest = milestones[..3].iter().flatten().max().copied().unwrap_or(0);
                milestone_weights(count, &milestones[..3], Ratio::new(3, 10), Ratio::new(1, 10), latest)
            }
            "full_path" => milestone_weights(count, &milestones, Ratio::new(9, 40), Ratio::new(1, 10), last),
            other => panic!("no model {other}"),
        }
    }

    fn position_based(&self) -> Vec<Ratio> {
        let count = self.touches.len();
        match count {
            1 => vec![Ratio::ONE],
            2 => vec![Ratio::new(1, 2); 2],
            _ => {
                let mut weights = vec![Ratio::new(1, 5 * (count as i128 - 2)); count];
                weights[0] = Ratio::new(2, 5);
                weights[count - 1] = Ratio::new(2, 5);
                weights
            }
        }
    }

    fn time_decay(&self) -> Vec<Ratio> {
        let half_lives =
            |touch: &Touch| (self.closed_at - touch.touched_at) as f64 / (self.half_life_days * 86_400_000_000.0);
        let raw: Vec<f64> = self.touches.iter().map(|(_, touch)| (-half_lives(touch)).exp2()).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|weight| Ratio::of_double(weight / sum)).collect()
    }
}

/// Returns weights of `each` for every milestone that is there, and of `others` over the touches up to `latest` that
/// carry none, divided by their sum.
fn milestone_weights(
    count: usize,
    milestones: &[Option<usize>],
    each: Ratio,
    others: Ratio,
    latest: usize,
) -> Vec<Ratio> {
    let mut weights = vec![Ratio::ZERO; count];
    let mut sum = Ratio::ZERO;
    for place in milestones.iter().flatten() {
        weights[*place] = weights[*place].plus(each);
        sum = sum.plus(each);
    }
    let rest: Vec<usize> = (0..=latest).filter(|place| weights[*place].is_zero()).collect();
    if !rest.is_empty() && !others.is_zero() {
        for place in &rest {
            weights[*place] = others.over(Ratio::new(rest.len() as i128, 1));
        }
        sum = sum.plus(others);
    }
    weights.into_iter().map(|weight| weight.over(sum)).collect()
}
