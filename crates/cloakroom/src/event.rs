//! What is told to the log: every event of the crate, in one place, with target `cloakroom`.
//!
//! None holds a token, a secret, a cookie's value or an entry's value. Ids are public.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use cloakroom_core::{EndReason, SessionId, StoreError};
use tracing::{debug, error, info, warn};

use crate::error::SessionError;

const TARGET: &str = "cloakroom";

pub(crate) fn created(id: SessionId) {
    info!(target: TARGET, session = %id, "session created");
}

pub(crate) fn renewed(old: SessionId, new: SessionId) {
    info!(target: TARGET, session = %new, renewed_from = %old, "session renewed");
}

pub(crate) fn ended(id: SessionId, reason: EndReason) {
    info!(target: TARGET, session = %id, %reason, "session ended");
}

pub(crate) fn expired(id: SessionId) {
    info!(target: TARGET, session = %id, "session expired");
}

pub(crate) fn unknown_token(id: SessionId) {
    info!(target: TARGET, session = %id, "unknown token presented");
}

pub(crate) fn ended_token(id: SessionId, reason: EndReason) {
    info!(target: TARGET, session = %id, %reason, "token of an ended session presented");
}

pub(crate) fn two_live_cookies(first: SessionId, second: SessionId) {
    warn!(
        target: TARGET, session = %first, other = %second,
        "two cookies of the same name open two live sessions: neither is trusted"
    );
}

pub(crate) fn ended_meanwhile(id: SessionId) {
    info!(target: TARGET, session = %id, "session ended elsewhere: the edits of a request are dropped");
}

pub(crate) fn overwritten(id: SessionId, key: &str) {
    warn!(
        target: TARGET, session = %id, key,
        "an entry that another request changed was replaced unseen"
    );
}

pub(crate) fn commit_failed(error: &SessionError) {
    error!(target: TARGET, error = display_chain(error), "session could not be saved");
}

pub(crate) fn touch_failed(id: SessionId, error: &StoreError) {
    warn!(target: TARGET, session = %id, error = display_chain(error), "use of a session could not be written down");
}

pub(crate) fn load_failed(error: &SessionError) {
    error!(target: TARGET, error = display_chain(error), "session could not be loaded");
}

pub(crate) fn abandoned(id: SessionId, error: &StoreError) {
    warn!(
        target: TARGET, session = %id, error = display_chain(error),
        "a renewal failed, and its new session could not be ended: nobody holds its token"
    );
}

pub(crate) fn edits_dropped(status: http::StatusCode) {
    debug!(target: TARGET, %status, "the answer is an error: the session's edits are dropped");
}

pub(crate) fn cache_overruled() {
    warn!(
        target: TARGET,
        "an answer that sets the session's cookie asked to be cached in public: overruled with no-store"
    );
}

/// What is told once, and not at every request that meets it.
#[derive(Debug, Default)]
pub(crate) struct Once {
    mounted_twice: AtomicBool,
    unreadable: Mutex<HashSet<SessionId>>,
}

impl Once {
    /// So many unreadable records are remembered; then it starts over.
    const REMEMBERED: usize = 1024;

    pub(crate) fn mounted_twice(&self, cookie: &str) {
        if !self.mounted_twice.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "this session layer is mounted twice: the inner one does nothing"
            );
        }
    }

    pub(crate) fn unreadable(&self, id: SessionId, error: &StoreError) {
        let mut told = self
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.len() >= Self::REMEMBERED {
            told.clear();
        }
        if told.insert(id) {
            error!(
                target: TARGET, session = %id, error = display_chain(error),
                "a stored session cannot be read: it is treated as none, and left as it is"
            );
        }
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
