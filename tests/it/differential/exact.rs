//! Fractions, and rounding half away from zero.

/// A fraction in lowest terms; the denominator is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    pub fn new(numerator: i128, denominator: i128) -> Self {
        let divisor = greatest_divisor(numerator.abs(), denominator);
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// Returns what a double of 0 to 1 stands for, to 60 binary places.
    pub fn of_double(value: f64) -> Self {
        const PLACES: i128 = 1 << 60;
        Self::new((value * PLACES as f64) as i128, PLACES)
    }

    pub fn plus(self, other: Self) -> Self {
        Self::new(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )
    }

    pub fn over(self, other: Self) -> Self {
        Self::new(self.numerator * other.denominator, self.denominator * other.numerator)
    }

    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    pub fn to_double(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Returns the cents of this share of cents: to 6 places of money and then to cents.
    pub fn cents_of(self, cents: i128) -> i128 {
        rounded(rounded(cents * 10_000 * self.numerator, self.denominator), 10_000)
    }
}

fn greatest_divisor(one: i128, other: i128) -> i128 {
    if other == 0 { one.max(1) } else { greatest_divisor(other, one % other) }
}

/// Returns a quotient rounded half away from zero; the denominator is above 0.
pub fn rounded(numerator: i128, denominator: i128) -> i128 {
    numerator.signum() * ((2 * numerator.abs() + denominator) / (2 * denominator))
}

/// Returns cents as a text with two places.
pub fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}
