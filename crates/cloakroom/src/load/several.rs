//! A request that presents several tokens: the cookie was set for several paths or domains, it was renamed,
//! or an attacker has planted one.

use std::sync::Arc;

use cloakroom_core::EndReason;
use cloakroom_core::rotation::{SecretStatus, Secrets};

use super::authenticate::{Authenticated, authenticate, end_reused};
use crate::budget::Budget;
use crate::context::Context;
use crate::cookie::tokens::PresentedTokens;
use crate::error::SessionError;
use crate::plan::Lookup;
use crate::state::{Found, Live};
use crate::telemetry::log;

/// What the tokens have led to.
#[derive(Default)]
struct Candidates {
    /// The live sessions, each once.
    live: Vec<PresentedSession>,
    /// Sessions of which a replaced token was candidates.
    reused: Vec<Live>,
    has_ended: bool,
    /// Why one of them has ended.
    reason: Option<EndReason>,
    /// A session of the cookie that responses set has ended: another request may have set a better one.
    has_written_ended: bool,
}

struct PresentedSession {
    live: Live,
    /// Whether the token is in the cookie that responses set.
    is_token_written: bool,
    /// Whether any token of the session is.
    is_written: bool,
}

/// Finds the session of a request. One of the cookie that responses set has priority over those of former
/// cookies. If there are several, it is unknown which of them is the user's, and none is used.
pub(super) async fn find(
    context: &Arc<Context>,
    tokens: PresentedTokens,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let mut candidates = Candidates::default();
    for token in tokens {
        let is_written = token.is_written;
        match authenticate(context, token.token, context.clock.now(), budget).await? {
            Authenticated::Live(live) => candidates.add(context, live, is_written),
            Authenticated::Reused(live) => candidates.reused.push(live),
            Authenticated::Ended(reason) => {
                candidates.reason = candidates.reason.or(reason);
                candidates.has_ended = true;
                candidates.has_written_ended |= is_written;
            }
            Authenticated::Absent(reason) => candidates.reason = candidates.reason.or(reason),
        }
    }
    for live in std::mem::take(&mut candidates.reused) {
        // A browser that holds the successor as well, in the cookie of another path, has not been robbed.
        if !candidates.has(&live) {
            end_reused(context, live, budget).await?;
            candidates.reason = Some(EndReason::TokenReused);
            candidates.has_ended = true;
        }
    }
    Ok(candidates.found())
}

impl Candidates {
    fn has(&self, live: &Live) -> bool {
        self.live.iter().any(|other| other.live.id() == live.id())
    }

    /// Adds a live session. Of several tokens of one session, the newest is used.
    fn add(&mut self, context: &Context, live: Live, is_written: bool) {
        let mut known = self.live.iter_mut();
        let Some(known) = known.find(|known| known.live.id() == live.id()) else {
            self.live.push(PresentedSession {
                live,
                is_token_written: is_written,
                is_written,
            });
            return;
        };
        known.is_written |= is_written;
        if age(context, &live) < age(context, &known.live) {
            known.live = live;
            known.is_token_written = is_written;
        }
    }

    fn found(mut self) -> Found {
        let Some(index) = self.chosen() else {
            return self.found_none();
        };
        let chosen = self.live.remove(index);
        let needs_cookie = !chosen.is_token_written && !self.has_written_ended;
        let others: Vec<_> = self.live.into_iter().map(|other| other.live).collect();
        if let Some(other) = others.first() {
            log::former_cookie_ignored(chosen.live.id(), other.id());
        }
        Found {
            lookup: Lookup::Live(chosen.live),
            needs_cookie,
            others,
            reason: None,
        }
    }

    /// Returns the index of the session that is used: the only one of its rank.
    fn chosen(&self) -> Option<usize> {
        let written = self.live.iter().filter(|session| session.is_written);
        match (written.count(), self.live.len()) {
            (1, _) => self.live.iter().position(|session| session.is_written),
            (0, 1) => Some(0),
            _ => None,
        }
    }

    fn found_none(self) -> Found {
        let others: Vec<_> = self.live.into_iter().map(|session| session.live).collect();
        if let [first, second, ..] = &*others {
            log::two_live_cookies(first.id(), second.id());
            return Found::several(others);
        }
        let lookup = if self.has_ended {
            Lookup::Ended
        } else {
            Lookup::Absent
        };
        Found::by_token(lookup).ended_for(self.reason)
    }
}

/// How old the presented token of a session is, compared with its other tokens.
fn age(context: &Context, live: &Live) -> u8 {
    let digest = context.realm.digest(&live.token);
    match Secrets::status(&live.record, &digest, context.clock.now()) {
        SecretStatus::Next => 0,
        SecretStatus::Current => 1,
        SecretStatus::Previous | SecretStatus::Retired | SecretStatus::Wrong => 2,
    }
}
