//! The texts of errors, which say what to do.

use std::fmt;

use cloakroom_core::lifetime::Lifetimes;

use super::{Cause, SessionError};

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Store(error) => error.fmt(f),
            Cause::Ended => f.write_str("the session has ended"),
            Cause::Expired => f.write_str(
                "the session expired during the request, so its changes were not saved",
            ),
            Cause::NotCreated => f.write_str(
                "no session is created by this request without a sign-in: the browser may hold a \
                 session cookie that it did not send",
            ),
            Cause::NotPersisted => f.write_str(
                "there is no stored session yet: edit it and call `Session::save` first",
            ),
            Cause::Conflict(keys) => write!(
                f,
                "this request would overwrite concurrent changes of: {}",
                keys.join(", ")
            ),
            Cause::TooLarge { size, limit } => write!(
                f,
                "the session would have {size} bytes, and its limit is {limit}; keep large data in \
                 a database, or raise the limit with `SessionLayerBuilder::with_max_session_size`"
            ),
            Cause::Entry(error) => error.fmt(f),
            Cause::ReservedKey(key) => {
                write!(
                    f,
                    "the key `{key}` is reserved: choose one without a leading `$`"
                )
            }
            Cause::Expiry(error) => error.fmt(f),
            Cause::LongestExpiry => f.write_str(
                "the absolute timeout is longer than `SessionLayerBuilder::with_max_expiry` allows",
            ),
            Cause::ResponseSent => f.write_str(
                "the response has already been sent, so the session cannot be changed; call \
                 `Session::detach` before",
            ),
            Cause::Detached => f.write_str(
                "a detached session cannot set its cookie; renew it, or choose its expiry, within a \
                 request",
            ),
            Cause::Rng(error) => error.fmt(f),
            Cause::TooManySessions => f.write_str(
                "the user has as many sessions as allowed; one of them has to end first",
            ),
            Cause::TooManyWriters => f.write_str(
                "too many requests are writing this session at the same moment; nothing was saved",
            ),
            Cause::NeverFinal => f.write_str(
                "a closure or a `Deserialize` changes the session each time it runs, so its result is never final",
            ),
            Cause::Undone => f.write_str(
                "the session was revoked during sign-in",
            ),
            Cause::NotSignedIn => f.write_str("no user is signed in"),
            Cause::SignedOut(reason) => {
                write!(f, "no user is signed in: the session has ended ({reason})")
            }
            Cause::UserId(type_name) => write!(
                f,
                "the id of the signed-in user cannot be read as `{type_name}`"
            ),
            Cause::ReauthenticationRequired => {
                f.write_str("a recent sign-in is required: the user has to sign in again")
            }
            Cause::FlashTooLong(size) => write!(
                f,
                "the flash message has {size} bytes, and the limit is 1024: store a key of the text, and not the text"
            ),
            Cause::TooManyLifetimes => write!(
                f,
                "the session has {} entries with a lifetime of their own, and cannot have more",
                Lifetimes::MAX
            ),
            Cause::Forbidden => f.write_str("the user may not do this"),
            Cause::Impersonating => f.write_str(
                "this is not possible while the user acts as another user: call `Session::stop_impersonating` first",
            ),
            Cause::CsrfToken => f.write_str(
                "the request has no CSRF token of this session: load the page again",
            ),
            Cause::OAuth(refusal) => refusal.fmt(f),
            Cause::OAuthSetup(problem) => f.write_str(problem),
            Cause::MissingLayer => f.write_str(
                "no session layer around this handler: add `.layer(SessionLayer::new(store))` to \
                 the router, after the routes that use sessions",
            ),
        }
    }
}
