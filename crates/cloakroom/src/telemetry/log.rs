//! What is told: every event and span of the crate, in one place, with target `cloakroom`. What is
//! told to the log is counted in the same call, so that the two never disagree.
//!
//! None holds a token, a secret, a cookie's value or an entry's value. Ids are public. What there is
//! stands in `docs/observability.md`, and a test compares.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use cloakroom_core::{EndReason, SessionId, StoreError};
use tracing::{Span, debug, debug_span, error, field, info, warn};

use crate::error::{SessionError, SessionErrorKind};
use crate::telemetry::metrics::{self, Stopwatch};

const TARGET: &str = "cloakroom";

pub(crate) fn created(id: SessionId) {
    metrics::created();
    info!(target: TARGET, session = %id, "session created");
}

pub(crate) fn moved_in(id: SessionId) {
    metrics::moved_in();
    info!(target: TARGET, session = %id, "session moved in from another system");
}

pub(crate) fn old_entry_left(id: SessionId, key: &str) {
    warn!(
        target: TARGET, session = %id, key,
        "an entry of a session that moves in is left behind: its key is reserved"
    );
}

pub(crate) fn old_not_ended(error: &StoreError) {
    metrics::failed("end_old", label(&error.clone().into()));
    error!(target: TARGET, error = display_chain(error), "the old session of one that has moved in could not be ended for sure");
}

pub(crate) fn renewed(old: SessionId, new: SessionId) {
    metrics::renewed();
    info!(target: TARGET, session = %new, renewed_from = %old, "session renewed");
}

pub(crate) fn ended(id: SessionId, reason: EndReason) {
    info!(target: TARGET, session = %id, %reason, "session ended");
}

pub(crate) fn signed_in(id: SessionId) {
    metrics::signed_in();
    info!(target: TARGET, session = %id, "user signed in");
}

pub(crate) fn too_many_sessions(count: usize) {
    metrics::failed("sign_in", "too_many_sessions");
    info!(target: TARGET, count, "sign-in refused: the user has as many sessions as allowed");
}

pub(crate) fn sign_in_undone(id: SessionId) {
    metrics::failed("sign_in", "ended");
    info!(target: TARGET, session = %id, "sign-in refused: its session was ended before it was stored");
}

pub(crate) fn stolen_token(id: SessionId) {
    metrics::load("stolen");
    warn!(
        target: TARGET, session = %id,
        "a retired secret was presented: two parties hold the cookie, and the session is ended"
    );
}

pub(crate) fn before_epoch(id: SessionId) {
    metrics::load("before_epoch");
    info!(target: TARGET, session = %id, "token from before everything was ended presented");
}

pub(crate) fn index_not_tidied(id: SessionId, error: &StoreError) {
    metrics::failed("forget", label(&error.clone().into()));
    debug!(
        target: TARGET, session = %id, error = display_chain(error),
        "the entry of an ended session could not be removed from its user's index"
    );
}

pub(crate) fn upkeep_failed(id: SessionId, error: &SessionError) {
    metrics::failed("upkeep", label(error));
    warn!(
        target: TARGET, session = %id, error = display_chain(error),
        "a session's secret could not be rotated, or its use not be written down"
    );
}

pub(crate) fn expired(id: SessionId) {
    metrics::load("expired");
    info!(target: TARGET, session = %id, "session expired");
}

pub(crate) fn unknown_token(id: SessionId) {
    metrics::load("unknown");
    info!(target: TARGET, session = %id, "unknown token presented");
}

pub(crate) fn ended_token(id: SessionId, reason: EndReason) {
    metrics::load("ended");
    info!(target: TARGET, session = %id, %reason, "token of an ended session presented");
}

pub(crate) fn two_live_cookies(first: SessionId, second: SessionId) {
    warn!(
        target: TARGET, session = %first, other = %second,
        "two cookies of the same name open two live sessions: neither is trusted"
    );
}

pub(crate) fn ended_meanwhile(id: SessionId) {
    metrics::edits_dropped("session_ended");
    info!(target: TARGET, session = %id, "session ended elsewhere: the edits of a request are dropped");
}

pub(crate) fn overwritten(id: SessionId, key: &str) {
    metrics::overwritten();
    warn!(
        target: TARGET, session = %id, key,
        "an entry that another request changed was replaced unseen"
    );
}

pub(crate) fn replayed(id: SessionId) {
    metrics::replayed();
    debug!(target: TARGET, session = %id, "edits replayed on what another request has saved");
}

pub(crate) fn commit_failed(error: &SessionError) {
    if error.is_refusal() {
        return;
    }
    metrics::failed("save", label(error));
    error!(target: TARGET, error = display_chain(error), "session could not be saved");
}

pub(crate) fn touch_failed(id: SessionId, error: &StoreError) {
    metrics::failed("touch", label(&error.clone().into()));
    warn!(target: TARGET, session = %id, error = display_chain(error), "use of a session could not be written down");
}

pub(crate) fn load_failed(error: &SessionError) {
    metrics::failed("load", label(error));
    error!(target: TARGET, error = display_chain(error), "session could not be loaded");
}

pub(crate) fn end_failed(id: SessionId, error: &StoreError) {
    metrics::failed("end", label(&error.clone().into()));
    error!(target: TARGET, session = %id, error = display_chain(error), "session could not be ended for sure");
}

pub(crate) fn abandoned(id: SessionId, error: &StoreError) {
    metrics::failed("abandon", label(&error.clone().into()));
    warn!(
        target: TARGET, session = %id, error = display_chain(error),
        "a renewal failed, and its new session could not be ended: nobody holds its token"
    );
}

pub(crate) fn edits_dropped(status: http::StatusCode) {
    metrics::edits_dropped("error_answer");
    debug!(target: TARGET, %status, "the answer is an error: the session's edits are dropped");
}

pub(crate) fn cache_overruled() {
    warn!(
        target: TARGET,
        "an answer that sets the session's cookie asked to be cached in public: overruled with no-store"
    );
}

/// One command to the store, from when it is first polled until it is answered or dropped.
#[derive(Debug)]
pub(crate) struct Command {
    verb: &'static str,
    id: SessionId,
    span: Span,
    time: Stopwatch,
    outcome: &'static str,
}

impl Command {
    pub(crate) fn begin(verb: &'static str, id: SessionId) -> Self {
        let outcome = field::Empty;
        Self {
            verb,
            id,
            span: debug_span!(target: TARGET, "store", verb, session = %id, outcome),
            time: Stopwatch::start(),
            // Until it is answered. If it never is, this is what is told.
            outcome: "cancelled",
        }
    }

    /// Runs a part of the command.
    pub(crate) fn in_span<T>(&self, part: impl FnOnce() -> T) -> T {
        self.span.in_scope(part)
    }

    pub(crate) fn answered(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let Self { verb, outcome, .. } = *self;
        metrics::command(verb, outcome, &self.time);
        self.span.record("outcome", outcome);
        self.span.in_scope(|| {
            debug!(target: TARGET, session = %self.id, verb, outcome, "the store was asked");
        });
    }
}

/// What is told once, and not at every request that meets it.
#[derive(Debug, Default)]
pub(crate) struct Once {
    mounted_twice: AtomicBool,
    not_published: AtomicBool,
    told: Mutex<HashSet<SessionId>>,
}

impl Once {
    /// So many sessions that could not be taken are remembered; then it starts over.
    const REMEMBERED: usize = 1024;

    pub(crate) fn mounted_twice(&self, cookie: &str) {
        if !self.mounted_twice.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "this session layer is mounted twice: the inner one does nothing"
            );
        }
    }

    pub(crate) fn not_published(&self, error: &StoreError) {
        metrics::failed("publish", label(&error.clone().into()));
        if !self.not_published.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, error = display_chain(error),
                "an event could not be published to the other servers: this is told once"
            );
        }
    }

    pub(crate) fn not_moved(&self, id: SessionId, reason: &'static str) {
        metrics::load("not_moved");
        if self.is_first(id) {
            error!(
                target: TARGET, session = %id, reason,
                "an old session cannot move in: it is treated as none, and left as it is"
            );
        }
    }

    pub(crate) fn unreadable(&self, id: SessionId, error: &StoreError) {
        metrics::load("unreadable");
        if self.is_first(id) {
            error!(
                target: TARGET, session = %id, error = display_chain(error),
                "a stored session cannot be read: it is treated as none, and left as it is"
            );
        }
    }

    fn is_first(&self, id: SessionId) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= Self::REMEMBERED {
            told.clear();
        }
        told.insert(id)
    }
}

/// The word for an error's kind. What the app did wrong is told apart by the log alone.
fn label(error: &SessionError) -> &'static str {
    match error.kind() {
        SessionErrorKind::Unavailable => "unavailable",
        SessionErrorKind::OutcomeUnknown => "outcome_unknown",
        SessionErrorKind::NotReplicated => "not_replicated",
        SessionErrorKind::Ended => "ended",
        SessionErrorKind::Conflict => "conflict",
        SessionErrorKind::TooManySessions => "too_many_sessions",
        SessionErrorKind::TooLarge => "too_large",
        SessionErrorKind::NoRandomness => "no_randomness",
        _ => "other",
    }
}

/// An error and its causes, in one line.
fn display_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
