//! Token rotation: the secret of a session changes at intervals, so that the reuse of a stolen cookie is
//! detected.
//!
//! ```text
//! presented        record                        result
//! s0 (current)     the interval is over          a nonce is stored: s1 = HMAC(s0, nonce)
//! s0 (current)     s1 is offered                 valid; the response sets s1
//! s1 (next)        s1 is offered                 valid; s1 becomes current, and s0 previous
//! s0 (previous)    within the grace period       valid; the response sets s1
//! s0 (retired)     after the grace period        reuse: two parties hold the cookie
//! anything else                                  not a token of this session
//! ```
//!
//! Everybody who holds `s0` derives the same `s1`, so concurrent requests agree on it. `s0` is retired only
//! after `s1` was presented, so a lost response does no harm. A secret that never belonged to the session
//! does not count as reuse, because session ids are public, and anybody with the id could send one.
//!
//! A session can have further current secrets, its *alternatives*: those of sign-ins of its user that were
//! handled at the same time, each with a cookie of its own. An alternative is judged like the current secret,
//! and has a next one of its own. Once a next secret was presented, all others are superseded: they stay valid
//! for the grace period, and are retired after it. The next secrets that were offered for them stay valid until another
//! one is presented after the grace period: one of them may be the last that the browser has received. So the
//! theft of one of these is detected later: when the stolen secret, or its successor, and the browser's are both used.

mod config;
mod parts;
mod secrets;

pub use self::config::Rotation;
pub use self::parts::SecretStatus;
pub use self::secrets::Secrets;
