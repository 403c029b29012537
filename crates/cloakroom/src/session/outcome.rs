//! What saving, ending and reloading a session return.

/// The result of [`Session::save`](super::Session::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// The edits were stored.
    Stored,
    /// There was nothing to store.
    Unchanged,
    /// The session was ended by someone else, during this request or before it, or the request has presented
    /// several live sessions; nothing was stored.
    Ended,
    /// Nothing was stored, since this request creates no session without a sign-in:
    /// [`EditsDiscarded`](crate::EditsDiscarded) has the reasons.
    Discarded,
}

/// The result of [`Session::destroy`](super::Session::destroy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destroyed {
    /// The session has ended, on every server.
    Ended,
    /// The session had ended before.
    AlreadyEnded,
    /// There was no session.
    NoSession,
}

/// The result of [`Session::reload`](super::Session::reload) and
/// [`DetachedSession::reload`](super::DetachedSession::reload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The session is live. It is now as it is stored, with the edits replayed that are not saved yet.
    Live,
    /// The session has ended, or there was none.
    Ended,
}
