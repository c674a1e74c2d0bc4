//! Random draws that depend on nothing but the seed and what they are for.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// What a series of draws is for: each has a series of its own, so a change to one leaves the others as they are.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// The firmographics of an account.
    Profile = 1,
    /// The people of an account.
    People,
    /// The leads and deals of an account.
    Sales,
    /// The course of a subscription.
    Contract,
    /// The invoices and payments of an account.
    Billing,
    /// The touches of an account in a month.
    Touches,
    /// The daily ad spend.
    Spend,
    /// Exchange rates, costs and targets.
    Finance,
    /// The order of company names.
    Names,
}

/// A series of random draws.
pub struct Dice(SmallRng);

impl Dice {
    /// Returns the series of a stream for one thing (an account, a campaign) and a part of it (a month, a number).
    pub fn new(seed: u64, stream: Stream, index: u64, part: u64) -> Self {
        let mixed = mix(mix(mix(seed ^ 0x0074_6f70_6c69_6e65) ^ (stream as u64)) ^ index);
        Self(SmallRng::seed_from_u64(mix(mixed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }

    /// Returns a number of 0 up to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// Returns whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Returns a whole number of `low` up to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high.max(low))
    }

    /// Returns a number of `low` up to `high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Returns one of some values, each as likely.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[(self.0.next_u64() % values.len() as u64) as usize]
    }

    /// Returns the place of a value drawn by its weight.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (place, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return place;
            }
        }
        weights.len() - 1
    }

    /// Returns a draw of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Returns a draw of a log-normal distribution by its median and spread.
    pub fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// Returns a draw of an exponential distribution by its mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Returns a draw of a Poisson distribution by its mean, which must be small (Knuth's product of draws).
    pub fn poisson(&mut self, mean: f64) -> u16 {
        let floor = (-mean).exp();
        let mut product = self.unit();
        let mut count = 0;
        while product > floor {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// Returns a number that looks random and is the same for the same input (the finaliser of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_depends_on_seed_stream_index_and_part() {
        let first = |seed, stream, index, part| Dice::new(seed, stream, index, part).unit().to_bits();
        let base = first(7, Stream::Sales, 3, 1);
        assert_eq!(base, first(7, Stream::Sales, 3, 1));
        assert_ne!(base, first(8, Stream::Sales, 3, 1));
        assert_ne!(base, first(7, Stream::Billing, 3, 1));
        assert_ne!(base, first(7, Stream::Sales, 4, 1));
        assert_ne!(base, first(7, Stream::Sales, 3, 2));
    }

    #[test]
    fn draws_have_the_mean_they_are_asked_for() {
        let mut dice = Dice::new(1, Stream::Sales, 0, 0);
        let poisson: f64 = (0..20_000).map(|_| f64::from(dice.poisson(2.5))).sum::<f64>() / 20_000.0;
        assert!((poisson - 2.5).abs() < 0.1, "{poisson}");
        let exponential: f64 = (0..20_000).map(|_| dice.exponential(4.0)).sum::<f64>() / 20_000.0;
        assert!((exponential - 4.0).abs() < 0.2, "{exponential}");
    }
}
