//! The touch-level models: which share of a conversion each touch of its path gets.
//!
//! Weights are whole numbers over a common denominator, but for `time_decay`; so they sum to 1 without an error.

use crate::config::settings::TOUCH_MODELS;

/// A touch-level model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// All to the first touch.
    FirstTouch,
    /// All to the last touch.
    LastTouch,
    /// All to the last touch that is not direct; to the last one where all are.
    LastNonDirect,
    /// The same to each.
    Linear,
    /// 40 % to the first, 40 % to the last, the rest shared.
    PositionBased,
    /// Half as much for each half life before the closing.
    TimeDecay,
    /// First touch and lead creation 40 % each, the rest shared.
    UShapedHubspot,
    /// First touch and lead creation half each.
    UShapedMarketo,
    /// First touch, lead and opportunity creation 30 % each, the rest shared by touches before the last of them.
    WShaped,
    /// First touch, lead and opportunity creation and closing 22.5 % each, the rest shared.
    FullPath,
}

impl Model {
    /// Every model, in the order of [`TOUCH_MODELS`].
    pub const ALL: [Self; 10] = [
        Self::FirstTouch,
        Self::LastTouch,
        Self::LastNonDirect,
        Self::Linear,
        Self::PositionBased,
        Self::TimeDecay,
        Self::UShapedHubspot,
        Self::UShapedMarketo,
        Self::WShaped,
        Self::FullPath,
    ];

    /// The models of pipeline: all but the last, whose milestone CW a deal that is not won does not have.
    pub const OF_PIPELINE: &'static [Self] = Self::ALL.split_at(9).0;

    /// Returns whether the model asks for the creation of the lead.
    pub fn has_lead_milestone(self) -> bool {
        matches!(self, Self::UShapedHubspot | Self::UShapedMarketo | Self::WShaped | Self::FullPath)
    }

    /// Returns the name under which SQL knows the model.
    pub fn name(self) -> &'static str {
        TOUCH_MODELS[self as usize]
    }
}

/// The touches of a conversion, in the order of their positions 1 to n.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// The instant of each touch, in microseconds.
    pub touched_at: &'a [i64],
    /// The position of the last touch that is not direct; 0 where all are.
    pub last_non_direct: usize,
    /// The position that carries the lead's creation; 0 where it is absent.
    pub lead_created: usize,
    /// The position that carries the opportunity's creation; 0 where it is absent.
    pub opportunity_created: usize,
    /// The half life of `time_decay`, in microseconds.
    pub half_life_micros: f64,
}

/// What a model gives to a position: its own weight, and the sum of the weights before it and up to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The position, from 1.
    pub position: usize,
    /// The weight, above 0.
    pub weight: f64,
    /// The sum of the weights of the positions before it.
    pub before: f64,
    /// The sum of the weights up to it; exactly 1 at the last position that has one.
    pub up_to: f64,
}

/// Milestones of a model in proportion to what all other touches share.
struct Milestones {
    /// Positions that carry a milestone, each counted as often as it carries one.
    positions: [usize; 4],
    /// The parts of a milestone.
    part: usize,
    /// The parts that the other touches share.
    others_part: usize,
    /// The last position that may share.
    others_up_to: usize,
}

/// Calls `emit` with the share of each position of the path that gets one, in order.
pub fn for_each_share(model: Model, path: &Path, mut emit: impl FnMut(Share)) {
    let count = path.touched_at.len();
    let whole = |position| Share { position, weight: 1.0, before: 0.0, up_to: 1.0 };
    let (lead, opportunity) = (path.lead_created, path.opportunity_created);
    match model {
        Model::FirstTouch => emit(whole(1)),
        Model::LastTouch => emit(whole(count)),
        Model::LastNonDirect => emit(whole(if path.last_non_direct == 0 { count } else { path.last_non_direct })),
        Model::Linear => by_parts(1..=count, count, |_| 1, emit),
        Model::PositionBased if count <= 2 => by_parts(1..=count, count, |_| 1, emit),
        Model::PositionBased => {
            let inner = count - 2;
            by_parts(
                1..=count,
                5 * inner,
                |position| if position == 1 || position == count { 2 * inner } else { 1 },
                emit,
            );
        }
        Model::TimeDecay => by_decay(path, emit),
        Model::UShapedHubspot => by_milestones(
            count,
            &Milestones { positions: [1, lead, 0, 0], part: 2, others_part: 1, others_up_to: count },
            emit,
        ),
        Model::UShapedMarketo => by_milestones(
            count,
            &Milestones { positions: [1, lead, 0, 0], part: 1, others_part: 0, others_up_to: 0 },
            emit,
        ),
        Model::WShaped => by_milestones(
            count,
            &Milestones {
                positions: [1, lead, opportunity, 0],
                part: 3,
                others_part: 1,
                others_up_to: 1.max(lead).max(opportunity),
            },
            emit,
        ),
        Model::FullPath => by_milestones(
            count,
            &Milestones { positions: [1, lead, opportunity, count], part: 9, others_part: 4, others_up_to: count },
            emit,
        ),
    }
}

fn by_parts(
    positions: std::ops::RangeInclusive<usize>,
    all: usize,
    part_of: impl Fn(usize) -> usize,
    mut emit: impl FnMut(Share),
) {
    let all = all as f64;
    let mut before = 0;
    for position in positions {
        let part = part_of(position);
        if part > 0 {
            let up_to = before + part;
            emit(Share { position, weight: part as f64 / all, before: before as f64 / all, up_to: up_to as f64 / all });
            before = up_to;
        }
    }
}

fn by_milestones(count: usize, milestones: &Milestones, emit: impl FnMut(Share)) {
    let Milestones { positions, part, others_part, others_up_to } = milestones;
    let carried = |position: usize| positions.iter().filter(|milestone| **milestone == position).count();
    let present = positions.iter().filter(|position| **position > 0).count();
    let carriers = (1..=positions.iter().copied().max().unwrap_or(0))
        .filter(|position| *position <= *others_up_to && positions.contains(position))
        .count();
    let others = if *others_part == 0 { 0 } else { others_up_to.saturating_sub(carriers) };
    // Milestones get `part` each and the others together `others_part`; all times `others`, so that one gets a whole number.
    let each = if others == 0 { *part } else { part * others };
    let all = each * present + if others == 0 { 0 } else { others_part * others };
    by_parts(
        1..=count,
        all,
        |position| match carried(position) {
            0 if others > 0 && position <= *others_up_to => *others_part,
            milestones => milestones * each,
        },
        emit,
    );
}

/// Weights are taken relative to the last touch, so that a short half life does not lose them all.
fn by_decay(path: &Path, mut emit: impl FnMut(Share)) {
    let Some(last) = path.touched_at.last() else { return };
    let decay = |touched_at: &i64| ((touched_at - last) as f64 / path.half_life_micros).exp2();
    let all: f64 = path.touched_at.iter().map(decay).sum();
    let mut before = 0.0;
    for (index, touched_at) in path.touched_at.iter().enumerate() {
        let part = decay(touched_at);
        let up_to = before + part;
        let is_last = index + 1 == path.touched_at.len();
        if part > 0.0 {
            emit(Share {
                position: index + 1,
                weight: part / all,
                before: before / all,
                up_to: if is_last { 1.0 } else { up_to / all },
            });
        }
        before = up_to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(model: Model, count: usize, lead: usize, opportunity: usize) -> Vec<f64> {
        let touched_at: Vec<i64> = (0..count as i64).collect();
        let path = Path {
            touched_at: &touched_at,
            last_non_direct: 0,
            lead_created: lead,
            opportunity_created: opportunity,
            half_life_micros: 1.0,
        };
        let mut weights = vec![0.0; count];
        let mut sum = 0.0;
        for_each_share(model, &path, |share| {
            assert!((share.before - sum).abs() < 1e-12, "{model:?} of {count}: {share:?}");
            sum = share.up_to;
            weights[share.position - 1] += share.weight;
        });
        assert_eq!(sum, 1.0, "{model:?} of {count} with {lead} and {opportunity}");
        weights
    }

    #[test]
    fn weights_of_every_path_sum_to_one() {
        for count in 1..=6 {
            for lead in 0..=count {
                for opportunity in 0..=count {
                    for model in Model::ALL {
                        weights(model, count, lead, opportunity);
                    }
                }
            }
        }
    }

    #[test]
    fn models_give_what_the_definitions_say() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} is not {expected:?}");
        };
        close(weights(Model::PositionBased, 4, 0, 0), &[0.4, 0.1, 0.1, 0.4]);
        close(weights(Model::PositionBased, 2, 0, 0), &[0.5, 0.5]);
        close(weights(Model::UShapedHubspot, 4, 3, 0), &[0.4, 0.1, 0.4, 0.1]);
        close(weights(Model::UShapedHubspot, 2, 1, 0), &[0.8, 0.2]);
        close(weights(Model::UShapedMarketo, 3, 0, 0), &[1.0, 0.0, 0.0]);
        close(weights(Model::WShaped, 5, 2, 4), &[0.3, 0.3, 0.1, 0.3, 0.0]);
        close(weights(Model::FullPath, 5, 2, 4), &[0.225, 0.225, 0.1, 0.225, 0.225]);
        close(weights(Model::FullPath, 2, 1, 2), &[0.5, 0.5]);
        close(weights(Model::TimeDecay, 2, 0, 0), &[1.0 / 3.0, 2.0 / 3.0]);
    }
}
