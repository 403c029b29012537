//! Finds the session of a request by its credentials.
//!
//! A token authenticates a request only in [`authenticate`]; the token that is derived from a legacy cookie
//! does in [`migrate`].

mod authenticate;
mod cached;
mod check;
mod linked;
mod migrate;
mod read;
mod several;

use std::sync::Arc;

use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Token};

use self::authenticate::{Authenticated, authenticate, end_reused};
use self::check::lookup;
pub(crate) use self::check::{Liveness, check, check_and_sync};
use self::read::read;
use crate::budget::Budget;
use crate::context::Context;
use crate::cookie::headers::Credentials;
use crate::cookie::tokens::{PresentedToken, PresentedTokens};
use crate::error::SessionError;
use crate::migration::LegacyCookies;
use crate::plan::Lookup;
use crate::state::{Found, Live};
use crate::telemetry::metrics;

/// Finds the session of a request, or migrates it from the legacy store. Sends no command if the request
/// has no valid token.
pub(crate) async fn find(
    context: &Arc<Context>,
    credentials: &Credentials,
    legacy_cookies: Option<&LegacyCookies>,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let found = find_by_tokens(context, credentials, budget).await?;
    match (legacy_cookies, &context.migration) {
        // On the heap, as everything that few requests need: the futures of all others stay small.
        (Some(cookies), Some(migration)) if found.others.is_empty() => {
            Box::pin(migrate::find(context, migration, cookies, found, budget)).await
        }
        _ => Ok(found),
    }
}

async fn find_by_tokens(
    context: &Arc<Context>,
    credentials: &Credentials,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let now = context.clock.now();
    let tokens = PresentedTokens::of(credentials, &context.cookie, now);
    if !tokens.others.is_empty() {
        return Box::pin(several::find(context, tokens, budget)).await;
    }
    let Some(PresentedToken { token, is_written }) = tokens.first else {
        metrics::load("none");
        return Ok(Found::by_token(Lookup::Absent));
    };
    let (lookup, reason) = match authenticate(context, token, now, budget).await? {
        Authenticated::Live(live) if is_written => (Lookup::Live(live), None),
        Authenticated::Live(live) => return Ok(Found::by_other_cookie(live)),
        Authenticated::Reused(live) => {
            Box::pin(end_reused(context, live, budget)).await?;
            (Lookup::Ended, Some(EndReason::TokenReused))
        }
        Authenticated::Ended(reason) => (Lookup::Ended, reason),
        Authenticated::Absent(reason) => (Lookup::Absent, reason),
    };
    Ok(Found::by_token(lookup).ended_for(reason))
}

/// Reads a session again whose token was authenticated before, from the store itself and not from a cache.
pub(crate) async fn reload(
    context: &Arc<Context>,
    token: Token,
    budget: &Budget,
) -> Result<Lookup<Live>, SessionError> {
    match read(context, token.id(), budget).await? {
        Some(Loaded::Record(record)) => lookup(context, Live { token, record }, budget).await,
        Some(Loaded::Tombstone(_)) => Ok(Lookup::Ended),
        Some(Loaded::Nothing) | None => Ok(Lookup::Absent),
    }
}
