//! The log events and spans of the crate, with target `cloakroom`; [`limited`](super::limited) has those that are not
//! logged for every request. The metric that belongs to an event
//! is counted in the same function, so that log and metrics always agree.
//!
//! No event contains a token, a secret, or the value of a cookie or an entry. Session ids are public. A
//! test compares this file with `docs/observability.md`.

use std::fmt;
use std::time::Duration;

use cloakroom_core::{EndReason, SessionId, StoreError};
use tracing::{Span, debug, debug_span, error, field, info, warn};

use crate::error::{SessionError, SessionErrorKind};
use crate::telemetry::metrics::{self, Stopwatch};

pub(super) const TARGET: &str = "cloakroom";

pub(crate) fn created(id: SessionId) {
    metrics::created();
    info!(target: TARGET, session = %id, "session created");
}

pub(crate) fn migrated(id: SessionId) {
    metrics::migrated();
    info!(target: TARGET, session = %id, "session migrated from the legacy store");
}

pub(crate) fn legacy_entry_skipped(id: SessionId, key: &str) {
    warn!(
        target: TARGET, session = %id, key,
        "entry of a legacy session not migrated; its key is reserved"
    );
}

pub(crate) fn legacy_not_ended(error: &StoreError) {
    metrics::failed("end_legacy", label(&error.clone().into()));
    error!(target: TARGET, error = display_chain(error), "failed to end a legacy session; it may still be alive");
}

pub(crate) fn renewed(old: SessionId, new: SessionId) {
    metrics::renewed();
    info!(target: TARGET, session = %new, renewed_from = %old, "session renewed");
}

pub(crate) fn revoked_far_ahead(ahead: Duration) {
    error!(
        target: TARGET, seconds = ahead.as_secs(),
        "all sessions are revoked until a time far in the future, which a wrong clock has set; revoke everyone again to repair it"
    );
}

pub(crate) fn ended(id: SessionId, reason: EndReason) {
    info!(target: TARGET, session = %id, %reason, "session ended");
}

#[cfg(feature = "oauth")]
pub(crate) fn oauth_refused(reason: &'static str) {
    info!(target: TARGET, reason, "callback of an OAuth provider refused");
}

/// `user` is formatted only if the event is logged.
pub(crate) fn signed_in(id: SessionId, user: impl fmt::Display) {
    metrics::signed_in();
    info!(target: TARGET, session = %id, %user, "user signed in");
}

/// Both users are formatted only if the event is logged.
pub(crate) fn impersonation_started(
    id: SessionId,
    user: impl fmt::Display,
    impersonator: impl fmt::Display,
) {
    info!(target: TARGET, session = %id, %user, %impersonator, "impersonation started");
}

/// As [`impersonation_started`].
pub(crate) fn impersonation_stopped(
    id: SessionId,
    user: impl fmt::Display,
    impersonator: impl fmt::Display,
) {
    info!(target: TARGET, session = %id, %user, %impersonator, "impersonation stopped");
}

/// As [`signed_in`].
pub(crate) fn joined(from: SessionId, id: SessionId, user: impl fmt::Display) {
    metrics::signed_in();
    info!(
        target: TARGET, session = %id, %user, renewed_from = %from,
        "user signed in; joined the session that a concurrent request has created"
    );
}

pub(crate) fn too_many_sessions(count: usize) {
    metrics::failed("sign_in", "too_many_sessions");
    info!(target: TARGET, count, "sign-in refused; the user has reached the session limit");
}

pub(crate) fn too_many_writers(id: SessionId) {
    metrics::failed("save", "too_many_writers");
    info!(target: TARGET, session = %id, "too many concurrent writers of one session; the changes of a request are not saved");
}

pub(crate) fn revoked_during_sign_in(id: SessionId) {
    metrics::failed("sign_in", "ended");
    info!(target: TARGET, session = %id, "sign-in refused; the session was revoked during sign-in");
}

pub(crate) fn token_reused(id: SessionId) {
    metrics::load("token_reused");
    warn!(
        target: TARGET, session = %id,
        "replaced token used again; two clients hold the cookie, so the session is ended"
    );
}

pub(crate) fn revoked(id: SessionId) {
    metrics::load("revoked");
    info!(target: TARGET, session = %id, "token presented that was issued before all sessions were revoked");
}

pub(crate) fn not_removed_from_index(id: SessionId, error: &StoreError) {
    metrics::failed("index_remove", label(&error.clone().into()));
    debug!(
        target: TARGET, session = %id, error = display_chain(error),
        "failed to remove an ended session from its user's index"
    );
}

pub(crate) fn eviction_failed(error: &SessionError) {
    metrics::failed("evict", label(error));
    warn!(
        target: TARGET, error = display_chain(error),
        "failed to end sessions above the session limit; the next sign-in of the user continues"
    );
}

pub(crate) fn maintenance_failed(id: SessionId, error: &SessionError) {
    metrics::failed("maintain", label(error));
    warn!(
        target: TARGET, session = %id, error = display_chain(error),
        "failed to rotate the token, or to update device or last-seen"
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
        "two cookies of the same name belong to two live sessions; both are ignored"
    );
}

pub(crate) fn former_cookie_ignored(id: SessionId, former: SessionId) {
    info!(
        target: TARGET, session = %id, other = %former,
        "cookie and former cookie belong to two live sessions; the former one is ignored"
    );
}

pub(crate) fn ended_concurrently(id: SessionId) {
    metrics::edits_dropped("session_ended");
    info!(target: TARGET, session = %id, "session ended concurrently; the changes of a request are discarded");
}

pub(crate) fn expired_during_request(id: SessionId) {
    metrics::edits_dropped("session_expired");
    info!(target: TARGET, session = %id, "session expired during a request; its changes are not saved");
}

pub(crate) fn edits_discarded(reason: &'static str) {
    metrics::edits_dropped(reason);
    debug!(
        target: TARGET, reason,
        "the browser may hold a cookie that it did not send; the session's changes are discarded"
    );
}

pub(crate) fn overwritten(id: SessionId, key: &str) {
    metrics::overwritten();
    warn!(
        target: TARGET, session = %id, key,
        "overwrote a concurrent change"
    );
}

pub(crate) fn replayed(id: SessionId) {
    metrics::replayed();
    debug!(target: TARGET, session = %id, "merged concurrent changes");
}

pub(crate) fn touch_failed(id: SessionId, error: &StoreError) {
    metrics::failed("touch", label(&error.clone().into()));
    warn!(target: TARGET, session = %id, error = display_chain(error), "failed to update last-seen");
}

pub(crate) fn end_failed(id: SessionId, error: &StoreError) {
    metrics::failed("end", label(&error.clone().into()));
    error!(target: TARGET, session = %id, error = display_chain(error), "failed to end the session; it may still be alive");
}

pub(crate) fn failed_end_ignored(error: &SessionError) {
    error!(
        target: TARGET, error = display_chain(error),
        "handler ignored that the session could not be ended; its response is replaced by an error"
    );
}

pub(crate) fn rollback_failed(id: SessionId, error: &StoreError) {
    metrics::failed("rollback", label(&error.clone().into()));
    warn!(
        target: TARGET, session = %id, error = display_chain(error),
        "failed to roll back a new session; no client holds its token"
    );
}

pub(crate) fn edits_dropped(status: http::StatusCode) {
    metrics::edits_dropped("error_response");
    debug!(target: TARGET, %status, "error response; the session's changes are discarded");
}

pub(crate) fn public_cache_overridden() {
    warn!(
        target: TARGET,
        "response that sets the session cookie was marked public; Cache-Control replaced by no-store"
    );
}

/// One command to the store, from its first poll until it has finished or is dropped.
#[derive(Debug)]
pub(crate) struct Command {
    verb: &'static str,
    id: SessionId,
    span: Span,
    stopwatch: Stopwatch,
    outcome: &'static str,
}

impl Command {
    pub(crate) fn begin(verb: &'static str, id: SessionId) -> Self {
        let outcome = field::Empty;
        Self {
            verb,
            id,
            span: debug_span!(target: TARGET, "store", verb, session = %id, outcome),
            stopwatch: Stopwatch::start(),
            // What is recorded if the command is dropped before it has finished.
            outcome: "cancelled",
        }
    }

    /// Runs a part of the command in its span.
    pub(crate) fn in_span<T>(&self, part: impl FnOnce() -> T) -> T {
        self.span.in_scope(part)
    }

    /// Records the outcome.
    pub(crate) fn finish(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let Self { verb, outcome, .. } = *self;
        metrics::command(verb, outcome, &self.stopwatch);
        self.span.record("outcome", outcome);
        self.span.in_scope(|| {
            debug!(target: TARGET, session = %self.id, verb, outcome, "store command");
        });
    }
}

/// The metric label of an error's kind. Errors of the app itself share one label; the log has the details.
pub(super) fn label(error: &SessionError) -> &'static str {
    match error.kind() {
        SessionErrorKind::Unavailable => "unavailable",
        SessionErrorKind::StoreRefused => "store_refused",
        SessionErrorKind::StoreFull => "store_full",
        SessionErrorKind::Unreadable => "unreadable",
        SessionErrorKind::OutcomeUnknown => "outcome_unknown",
        SessionErrorKind::NotReplicated => "not_replicated",
        SessionErrorKind::Ended => "ended",
        SessionErrorKind::Conflict => "conflict",
        SessionErrorKind::TooManySessions => "too_many_sessions",
        SessionErrorKind::TooManyWriters => "too_many_writers",
        SessionErrorKind::TooLarge => "too_large",
        SessionErrorKind::RngFailed => "rng_failed",
        _ => "other",
    }
}

/// Formats an error and its causes on one line.
pub(super) fn display_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
