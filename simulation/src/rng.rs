//! Random numbers from a seed.

use std::sync::{Mutex, PoisonError};

use cloakroom::{Rng, RngError};

/// `SplitMix64`: every seed gives a good sequence, also zero and neighbouring ones.
#[derive(Clone, Debug)]
pub struct SeededRng(u64);

impl SeededRng {
    /// Creates a generator. Several numbers are mixed into one seed.
    #[must_use]
    pub fn new(seeds: &[u64]) -> Self {
        let mut rng = Self(0);
        for seed in seeds {
            rng.0 = rng.next_u64() ^ seed;
        }
        rng
    }

    /// Returns the next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, or zero if `end` is zero.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next_u64() % end }
    }

    /// Returns `true` with this probability, in thousandths.
    pub const fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Returns an index of a list that has elements.
    ///
    /// # Panics
    ///
    /// If the length does not fit into 64 bits.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length fits into 64 bits");
        usize::try_from(self.below(length)).expect("it is below the length")
    }
}

/// The source of ids, secrets and revisions of one server: the same for the same seed.
#[derive(Debug)]
pub(crate) struct SharedRng(Mutex<SeededRng>);

impl SharedRng {
    pub(crate) fn new(seeds: &[u64]) -> Self {
        Self(Mutex::new(SeededRng::new(seeds)))
    }
}

impl Rng for SharedRng {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let random = rng.next_u64().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        Ok(())
    }
}
