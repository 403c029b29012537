//! Impersonation: the user of a session acts as another user for a while.
//!
//! The session stays that of the user who has signed in: it is in the index of that user, and it has the same
//! [`Authentication`](crate::Authentication). Its entries are set aside until the impersonation stops, so that the data of
//! the two users do not mix.
//!
//! A release that does not know impersonation sees the user who has signed in, and none of the entries that are set
//! aside.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::entries::{Entries, is_reserved};
use crate::lifetime::Lifetimes;
use crate::user::UserId;

/// What the keys of entries begin with that are set aside.
const ASIDE: &str = "$aside:";

/// Whom the user of a session acts as, and since when. It is stored among the session's entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impersonation {
    user: UserId,
    at: u64,
}

impl Impersonation {
    /// The reserved key under which it is stored among the entries.
    pub const KEY: &'static str = "$impersonating";

    /// Creates the impersonation of `user` from `at` on.
    #[must_use]
    pub const fn new(user: UserId, at: Timestamp) -> Self {
        Self {
            user,
            at: at.as_millis(),
        }
    }

    /// Reads the impersonation from a session's entries. `None` if there is none, or if it cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        entries.get(Self::KEY).ok().flatten()
    }

    /// Returns the user who is impersonated.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Returns when it began.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// Begins it: sets the entries of the app aside, and stores it.
    #[allow(
        clippy::missing_panics_doc,
        reason = "a user id and a number are always JSON"
    )]
    pub fn begin(&self, entries: &mut Entries) {
        for key in keys(entries, is_of_app) {
            if let Some(entry) = entries.remove(&key) {
                entries.put(entry.with_key(&format!("{ASIDE}{key}")));
            }
        }
        entries
            .set(Self::KEY, self)
            .expect("a user id and a number are always JSON");
    }

    /// Stops it: removes what was stored since, and restores the entries that were set aside.
    pub fn stop(entries: &mut Entries) {
        for key in keys(entries, is_of_app) {
            entries.remove(&key);
        }
        for key in keys(entries, |key| key.starts_with(ASIDE)) {
            if let Some(entry) = entries.remove(&key) {
                entries.put(entry.with_key(&key[ASIDE.len()..]));
            }
        }
        entries.remove(Self::KEY);
    }
}

/// Whether an entry belongs to the data of one user, and not to the session.
fn is_of_app(key: &str) -> bool {
    !is_reserved(key) || key == Lifetimes::KEY
}

fn keys(entries: &Entries, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let keys = entries.keys().filter(|key| wanted(key));
    keys.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(entries: &Entries) -> String {
        let mut json = String::new();
        entries.write_json(&mut json);
        json
    }

    #[test]
    fn entries_are_set_aside_and_come_back() {
        let before = r#"{"$expires":{"cart":9},"$user":{"user":"ada","at":1},"cart":[1,2],"name":"Ada \" {"}"#;
        let mut entries = Entries::from_json(before).unwrap();
        let impersonation = Impersonation::new("bob".into(), Timestamp::from_millis(7));
        impersonation.begin(&mut entries);
        assert_eq!(Impersonation::of(&entries), Some(impersonation));
        assert!(entries.keys().all(is_reserved), "{entries:?}");
        assert!(entries.contains("$user"));
        entries.set("name", "Bob").unwrap();
        entries.set("more", &1).unwrap();
        Impersonation::stop(&mut entries);
        assert_eq!(json(&entries), before);
    }
}
