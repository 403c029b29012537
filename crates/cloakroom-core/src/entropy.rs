//! Randomness, read in one place.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Where random bytes come from. A seam: a test can let it fail, and see the request refused.
pub trait Entropy: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes` from a cryptographically secure generator.
    ///
    /// # Errors
    ///
    /// When the generator fails. Callers must give up then: there is no fallback.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

impl<E: Entropy + ?Sized> Entropy for Arc<E> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        (**self).fill(bytes)
    }
}

/// The operating system's generator (ASVS 5.0, 11.5.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(EntropyError::new)
    }
}

/// The system's random number generator failed, so no identifier can be issued.
#[derive(Clone, Debug)]
pub struct EntropyError(Arc<dyn Error + Send + Sync>);

impl EntropyError {
    /// Wraps the generator's own error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into().into())
    }
}

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system's random number generator failed")
    }
}

impl Error for EntropyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
