//! Keys of entries: text, with or without the type of the value.

use std::fmt;
use std::marker::PhantomData;

/// A key with the type of its value, so that reader and writer cannot disagree.
///
/// ```
/// use cloakroom::{Key, Session, SessionError};
///
/// const CART: Key<Vec<u32>> = Key::new("cart");
///
/// async fn add(session: Session) -> Result<String, SessionError> {
///     session.push(CART, 7)?;
///     let cart = session.get(CART)?.unwrap_or_default();
///     Ok(format!("{} items", cart.len()))
/// }
/// ```
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Creates a key of this name. Names that begin with `$` are reserved: using one is an error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// Returns the key's name.
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

/// The name of an entry: a [`Key`], or plain text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a session entry",
    note = "the name of an entry is a `Key`, or text: `&str` or `String`"
)]
pub trait EntryName {
    /// Returns the entry's name.
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

/// The name of an entry whose value is a `T`: a [`Key<T>`], or plain text for any `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a session entry of type `{T}`",
    note = "the name of an entry is a `Key` of the value's type, or text: `&str` or `String`"
)]
pub trait EntryKey<T>: EntryName {}

impl<T> EntryKey<T> for Key<T> {}

impl<T, K: AsRef<str>> EntryKey<T> for K {}
