//! Edits that concurrent requests can make to one entry without losing any: each runs again on the
//! fresher value, as an update does.

use cloakroom_core::EntryError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::EntryKey;
use crate::error::SessionError;

impl Session {
    /// Adds `by` to a counter, and returns the sum; a counter that is not there yet starts at zero. No
    /// concurrent increment is lost. Where another request counted in the meantime, the sum that is
    /// stored differs from the one returned. For signed types, `by` may be negative.
    ///
    /// ```
    /// use cloakroom::{Key, Session, SessionError};
    ///
    /// const VISITS: Key<u64> = Key::new("visits");
    ///
    /// async fn visit(session: Session) -> Result<String, SessionError> {
    ///     Ok(format!("visit no. {}", session.increment(VISITS, 1)?))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Overflow`](crate::SessionErrorKind::Overflow), if the sum does not fit into the type. Where
    ///   only the concurrent increments together do not fit, the commit fails with it.
    /// - As [`get`](Self::get) and [`insert`](Self::insert).
    pub fn increment<T: Counter>(&self, key: impl EntryKey<T>, by: T) -> Result<T, SessionError> {
        let key = key.name();
        let name: Box<str> = key.into();
        self.try_update(key, move |count: Option<T>| {
            let sum = count.unwrap_or_default().checked_add(by);
            sum.ok_or_else(|| EntryError::overflow::<T>(&name))
        })
    }

    /// Appends a value to a list; a list that is not there yet starts empty. No concurrent append is
    /// lost: both values are in the list, in the order of the commits. A list grows until the session
    /// is as large as the layer allows.
    ///
    /// ```
    /// use cloakroom::{Key, Session, SessionError};
    ///
    /// const FLASHES: Key<Vec<String>> = Key::new("flashes");
    ///
    /// async fn save(session: Session) -> Result<(), SessionError> {
    ///     session.push(FLASHES, "Saved.".to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`insert`](Self::insert).
    pub fn push<T>(&self, key: impl EntryKey<Vec<T>>, value: T) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.try_update(key.name(), move |list: Option<Vec<T>>| {
            let mut list = list.unwrap_or_default();
            list.push(value.clone());
            Ok(list)
        })?;
        Ok(())
    }

    /// Adds all items to a collection, as its [`Extend`] does: a map gets further keys, or new values
    /// for keys that it has; a set gets further members; a list is appended to. A collection that is
    /// not there yet starts empty. Items that concurrent requests add under other keys are kept.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use cloakroom::{Key, Session, SessionError};
    ///
    /// const SETTINGS: Key<BTreeMap<String, String>> = Key::new("settings");
    ///
    /// async fn choose(session: Session) -> Result<(), SessionError> {
    ///     session.merge(SETTINGS, [("theme".to_owned(), "dark".to_owned())].into())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`insert`](Self::insert).
    pub fn merge<T>(&self, key: impl EntryKey<T>, items: T) -> Result<(), SessionError>
    where
        T: IntoIterator + Extend<<T as IntoIterator>::Item> + Default + Clone,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.try_update(key.name(), move |collection: Option<T>| {
            let mut collection = collection.unwrap_or_default();
            collection.extend(items.clone());
            Ok(collection)
        })?;
        Ok(())
    }
}

/// A type that [`Session::increment`] counts in: the integers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a counter",
    note = "`increment` counts in integers of up to 64 bits; use `update` for other types"
)]
pub trait Counter:
    Serialize + DeserializeOwned + Copy + Default + Send + Sync + sealed::Sealed + 'static
{
    /// Returns the sum, or `None` if it does not fit into the type.
    #[must_use]
    fn checked_add(self, by: Self) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! counters {
    ($($integer:ty),*) => {$(
        impl sealed::Sealed for $integer {}

        impl Counter for $integer {
            fn checked_add(self, by: Self) -> Option<Self> {
                <$integer>::checked_add(self, by)
            }
        }
    )*};
}

counters!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
