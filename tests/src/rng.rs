//! A deterministic random number generator.

/// Xorshift: cheap, and random enough to choose the next step of a test.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator with its own seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed + 1))
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
