//! What saving, ending and reloading a session return.

/// What came of [`Session::save`](super::Session::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// The edits are stored.
    Stored,
    /// There was nothing to store.
    Unchanged,
    /// The session ended elsewhere in the meantime; nothing is stored.
    Ended,
}

/// What came of [`Session::destroy`](super::Session::destroy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destroyed {
    /// The session is ended, on every server.
    Ended,
    /// It had ended before.
    AlreadyOver,
    /// There was none.
    NoSession,
}

/// What came of [`Session::fresh`](super::Session::fresh) and
/// [`DetachedSession::reload`](super::DetachedSession::reload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The session is alive; this is how it is now, with the edits not saved yet on top.
    Live,
    /// The session is over, or there was none.
    Ended,
}
