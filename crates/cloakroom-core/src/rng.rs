//! Random bytes, and the trait through which they are read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A source of random bytes. Tests can replace it with one that fails.
pub trait Rng: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes` from a cryptographically secure generator.
    ///
    /// # Errors
    ///
    /// If the generator fails. Callers must then fail too: there is no fallback.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError>;
}

impl<E: Rng + ?Sized> Rng for Arc<E> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        (**self).fill(bytes)
    }
}

/// The operating system's random number generator (ASVS 5.0, 11.5.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        getrandom::fill(bytes).map_err(RngError::new)
    }
}

/// The random number generator failed, so no id or secret can be issued.
#[derive(Clone, Debug)]
pub struct RngError(Arc<dyn Error + Send + Sync>);

impl RngError {
    /// Wraps the error of the generator.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into().into())
    }
}

impl fmt::Display for RngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system's random number generator failed")
    }
}

impl Error for RngError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
