//! Keys of entries: text, or text that knows the type of its value.

use std::fmt;
use std::marker::PhantomData;

/// A key that knows the type of its value, so that reader and writer cannot disagree.
///
/// ```
/// use cloakroom::{Key, Session, SessionError};
///
/// const CART: Key<Vec<u32>> = Key::new("cart");
///
/// async fn add(session: Session) -> Result<String, SessionError> {
///     let cart = session.update(CART, |cart| {
///         let mut cart = cart.unwrap_or_default();
///         cart.push(7);
///         cart
///     })?;
///     Ok(format!("{} items", cart.len()))
/// }
/// ```
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The key of this name. Names that begin with `$` are reserved: using one is an error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// What names an entry: a [`Key`], or plain text.
pub trait EntryName {
    /// The entry's name.
    fn name(&self) -> &str;
}

impl<T> EntryName for Key<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<K: AsRef<str>> EntryName for K {
    fn name(&self) -> &str {
        self.as_ref()
    }
}

/// What names an entry whose value is a `T`: a [`Key<T>`], or plain text for any `T`.
pub trait EntryKey<T>: EntryName {}

impl<T> EntryKey<T> for Key<T> {}

impl<T, K: AsRef<str>> EntryKey<T> for K {}
