//! Random bytes, and the trait through which they are read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A source of random bytes. Tests can replace it with one that fails.
pub trait Entropy: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes` from a cryptographically secure generator.
    ///
    /// # Errors
    ///
    /// If the generator fails. Callers must then fail too: there is no fallback.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

impl<E: Entropy + ?Sized> Entropy for Arc<E> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        (**self).fill(bytes)
    }
}

/// The operating system's random number generator (ASVS 5.0, 11.5.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(EntropyError::new)
    }
}

/// The random number generator failed, so no id or secret can be issued.
#[derive(Clone, Debug)]
pub struct EntropyError(Arc<dyn Error + Send + Sync>);

impl EntropyError {
    /// Wraps the error of the generator.
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
