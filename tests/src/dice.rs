//! Pseudo-random numbers, the same in every run.

/// Xorshift: cheap, and good enough to choose what to do next.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a number of their own.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (number + 1))
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
