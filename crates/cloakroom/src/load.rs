//! From a request's cookies to its session: the only place where a token opens something.

use cloakroom_core::store::Loaded;
use cloakroom_core::{StoreErrorKind, Token};

use crate::budget::Budget;
use crate::context::Context;
use crate::cookie::transport::{CookieHeaders, presented};
use crate::error::SessionError;
use crate::event;
use crate::meter;
use crate::state::{Live, Standing};

/// Finds the session that a request's cookies open. Costs no command when none of them can.
pub(crate) async fn find(
    context: &Context,
    cookies: &CookieHeaders,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let mut found = Standing::Nothing;
    let tokens = presented(cookies, &context.cookie);
    if tokens.is_empty() {
        meter::load("none");
    }
    for token in tokens {
        match (open(context, token, budget).await?, &found) {
            // An encrypted token looks different each time, and may come twice.
            (Standing::Live(second), Standing::Live(first))
                if second.token.id() != first.token.id() =>
            {
                event::two_live_cookies(first.token.id(), second.token.id());
                return Ok(Standing::Nothing);
            }
            (Standing::Live(live), _) => found = Standing::Live(live),
            (Standing::Tombstoned, Standing::Nothing) => found = Standing::Tombstoned,
            (Standing::Tombstoned | Standing::Nothing, _) => {}
        }
    }
    Ok(found)
}

/// Finds what one token opens.
pub(crate) async fn open(
    context: &Context,
    token: Token,
    budget: &Budget,
) -> Result<Standing, SessionError> {
    let id = token.id();
    let now = context.clock.now();
    if now.since(id.created_at()) > context.longest_life() {
        event::unknown_token(id);
        return Ok(Standing::Nothing);
    }
    let loaded = match budget.read(context.store.load(id)).await {
        Ok(loaded) => loaded,
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            context.once.unreadable(id, &error);
            return Ok(Standing::Nothing);
        }
        Err(error) => {
            meter::load("error");
            return Err(error.into());
        }
    };
    let digest = context.realm.digest(&token);
    Ok(match loaded {
        Loaded::Record(record) if *record.digest() == digest => {
            let live = Live { token, record };
            // By the rule of now, which may be stricter than the TTL that the store enforces.
            if live.limits(context.expiry).is_over(now, live.record.seen()) {
                event::expired(id);
                Standing::Nothing
            } else {
                meter::load("hit");
                Standing::Live(live)
            }
        }
        // Without a digest, whoever presents the id learns that it is over, which is public.
        Loaded::Tombstone(tombstone) if tombstone.digest().is_none_or(|there| *there == digest) => {
            event::ended_token(id, tombstone.reason());
            Standing::Tombstoned
        }
        Loaded::Record(_) | Loaded::Tombstone(_) | Loaded::Nothing => {
            event::unknown_token(id);
            Standing::Nothing
        }
    })
}
