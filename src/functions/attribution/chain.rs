//! The order-1 chain of `markov`: how often one channel follows another, and what conversions lose without a channel.
//!
//! Counts are kept, not probabilities, and every step of the arithmetic adds and divides what is not negative; so the
//! effect of a channel that hardly matters is as exact as that of one that matters most. The elimination is that of
//! Grassmann, Taksar and Heyman (1985).

use hashbrown::HashMap;

/// A state of the chain: a channel by its number, or one of the three others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Before the first touch.
    Start,
    /// At a touch of this channel.
    Channel(u32),
    /// Won.
    Conversion,
    /// Not won, or not yet.
    Null,
}

/// How often one state follows another.
#[derive(Debug, Default)]
pub struct Chain {
    steps: HashMap<(State, State), u64>,
}

impl Chain {
    /// Counts a path that ends in `end`; an empty one is none.
    pub fn add(&mut self, channels: &[u32], end: State) {
        let mut from = State::Start;
        for channel in channels {
            self.count(from, State::Channel(*channel), 1);
            from = State::Channel(*channel);
        }
        if from != State::Start {
            self.count(from, end, 1);
        }
    }

    /// Adds the counts of another chain, whose channel `c` is channel `numbers[c]` of this one.
    pub fn merge(&mut self, other: &Self, numbers: &[u32]) {
        let renumbered = |state| match state {
            State::Channel(channel) => State::Channel(numbers[channel as usize]),
            other => other,
        };
        for ((from, to), count) in &other.steps {
            self.count(renumbered(*from), renumbered(*to), *count);
        }
    }

    fn count(&mut self, from: State, to: State, count: u64) {
        *self.steps.entry((from, to)).or_default() += count;
    }

    /// Returns the removal effect of each of the channels 0 to `channels`, all of which must be on a path: the part of
    /// conversions that is lost when whoever comes to the channel goes to null. All 0 where no path converts.
    ///
    /// That is the chance to come by the channel times the chance to convert from there, over the chance to convert.
    pub fn removal_effects(&self, channels: usize) -> Vec<f64> {
        let (mut starts, mut conversions) = (vec![0.0; channels], vec![0.0; channels]);
        let mut equations = Equations::new(channels);
        for ((from, to), count) in &self.steps {
            let count = *count as f64;
            match (*from, *to) {
                (State::Start, State::Channel(to)) => starts[to as usize] += count,
                (State::Channel(from), State::Channel(to)) => {
                    equations.onward[from as usize * channels + to as usize] += count
                }
                (State::Channel(from), end) => {
                    equations.ending[from as usize] += count;
                    if end == State::Conversion {
                        conversions[from as usize] += count;
                    }
                }
                _ => {}
            }
        }
        equations.eliminate();
        let from_start =
            |chances: &[f64]| starts.iter().zip(chances).map(|(start, chance)| start * chance).sum::<f64>();
        let converting = equations.solved(conversions);
        let all = from_start(&converting);
        if all <= 0.0 {
            return vec![0.0; channels];
        }
        let effect = |channel: usize| {
            let mut right = vec![0.0; channels];
            right[channel] = 1.0;
            let visits = equations.solved(right);
            from_start(&visits) / visits[channel] * converting[channel] / all
        };
        (0..channels).map(effect).collect()
    }
}

/// The equations of an absorbing chain, `(out - onward) x = right`, where `out` is how often a channel is left for others.
struct Equations {
    channels: usize,
    /// How often a channel follows another, row by row; after the elimination the factors below the diagonal.
    onward: Vec<f64>,
    /// How often a path ends after a channel.
    ending: Vec<f64>,
    /// The pivots.
    out: Vec<f64>,
}

impl Equations {
    fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self { channels, onward: vec![0.0; channels * channels], ending: zeros(), out: zeros() }
    }

    fn row(&self, channel: usize) -> &[f64] {
        &self.onward[channel * self.channels..(channel + 1) * self.channels]
    }

    /// Takes one channel after the other out: who would go there goes where it leads instead.
    fn eliminate(&mut self) {
        for gone in 0..self.channels {
            let row = self.row(gone).to_vec();
            self.out[gone] = row[gone + 1..].iter().sum::<f64>() + self.ending[gone];
            for channel in gone + 1..self.channels {
                let place = channel * self.channels;
                let factor = self.onward[place + gone] / self.out[gone];
                if factor > 0.0 {
                    self.onward[place + gone] = factor;
                    for next in (gone + 1..self.channels).filter(|next| *next != channel) {
                        self.onward[place + next] += factor * row[next];
                    }
                    self.ending[channel] += factor * self.ending[gone];
                }
            }
        }
    }

    /// Returns the solution for a right side that is not negative.
    fn solved(&self, right: Vec<f64>) -> Vec<f64> {
        let mut found = right;
        for channel in 0..self.channels {
            let before =
                self.row(channel)[..channel].iter().zip(&found).map(|(factor, known)| factor * known).sum::<f64>();
            found[channel] += before;
        }
        for channel in (0..self.channels).rev() {
            let after = self.row(channel)[channel + 1..].iter().zip(&found[channel + 1..]);
            let after = after.map(|(count, known)| count * known).sum::<f64>();
            found[channel] = (found[channel] + after) / self.out[channel];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(channels: usize, paths: &[(&[u32], State)]) -> Vec<f64> {
        let mut chain = Chain::default();
        for (path, end) in paths {
            chain.add(path, *end);
        }
        chain.removal_effects(channels)
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        let is_close = |(one, other): (&f64, &f64)| (one - other).abs() <= 1e-14 * other.abs();
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(is_close), "{found:?} {expected:?}");
    }

    #[test]
    fn removal_effects_are_those_of_the_textbook() {
        let paths: [(&[u32], State); 3] =
            [(&[0, 1, 2], State::Conversion), (&[0], State::Null), (&[1, 2], State::Null)];
        assert_close(&effects(3, &paths), &[0.5, 1.0, 1.0]);
    }

    #[test]
    fn a_channel_that_follows_itself_is_counted_as_often() {
        // From 0: to itself 1/3, to 1 1/3, null 1/3, so on to 1 in half of the cases; from 1 conversion 1/2, null 1/2.
        // Start leads to 0 and 1 alike: 3/8 convert, without 0 1/4, without 1 none.
        let paths: [(&[u32], State); 3] = [(&[0, 0, 1], State::Conversion), (&[1], State::Null), (&[0], State::Null)];
        let found = effects(2, &paths[..]);
        let (start_0, to_1) = (2.0 / 3.0, 0.5);
        let all = (start_0 * to_1 + 1.0 - start_0) / 2.0;
        assert_close(&found, &[1.0 - (1.0 - start_0) / 2.0 / all, 1.0]);
    }

    #[test]
    fn a_rare_channel_is_as_exact_as_a_common_one() {
        // One path in a million takes the way over channel 1 and back; the effect is a ratio of whole numbers.
        let mut chain = Chain::default();
        for _ in 0..999_999 {
            chain.add(&[0], State::Conversion);
        }
        chain.add(&[1, 0], State::Null);
        let found = chain.removal_effects(2);
        assert_close(&found, &[1.0, 1e-6]);
    }

    #[test]
    fn without_a_conversion_nothing_is_lost() {
        assert_close(&effects(2, &[(&[0, 1], State::Null)]), &[0.0, 0.0]);
    }

    #[test]
    fn chains_add_up_whatever_their_numbers() {
        let (mut one, mut other) = (Chain::default(), Chain::default());
        one.add(&[0, 1, 2], State::Conversion);
        other.add(&[1], State::Null);
        other.add(&[0, 2], State::Null);
        one.merge(&other, &[1, 0, 2]);
        assert_close(&one.removal_effects(3), &[0.5, 1.0, 1.0]);
    }
}
