//! The results of commits.

use cloakroom_core::entries::Entry;

use crate::state::Live;

/// The result of a commit.
#[derive(Debug)]
pub(crate) enum Committed {
    /// Nothing had to be stored.
    Unchanged,
    /// Nothing of the app's had to be stored; the library has updated its own entries, or has verified
    /// that the session is live.
    Maintained(Stored),
    /// The edits are stored.
    Stored(Stored),
    /// The session was ended by someone else; nothing is stored.
    Ended,
}

/// What is stored after a commit.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) live: Live,
    /// If the edits had to be replayed: the value that a `take_once` has found then.
    pub(crate) taken: Option<Option<Entry>>,
}
