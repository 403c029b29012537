//! What went wrong, in the words of this crate: fred's errors become [`StoreError`]s, and opening a
//! store has an error of its own.

use std::error::Error;
use std::fmt;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};

use crate::verdict::{Effect, Verdict};

/// A store could not be opened.
///
/// Its text is one line, with the server's address and without credentials.
#[derive(Clone, Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    text: String,
    source: Option<Cause>,
}

/// What must be done after a [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// What the store was told cannot work, wherever the server is: correct the configuration.
    Configuration,
    /// The server does not answer, or is not ready yet: it may be worth another attempt.
    Unreachable,
    /// The server refuses the credentials or the client's certificate, or wants some.
    Refused,
}

impl ConnectError {
    /// What must be done.
    #[must_use]
    pub const fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self {
            kind: ConnectErrorKind::Configuration,
            text: text.into(),
            source: None,
        }
    }

    /// No connection to the server at `address`, which is shown.
    pub(crate) fn no_connection(address: &str, error: &FredError) -> Self {
        let cause = Cause::of(error);
        let (kind, why) = match error.kind() {
            FredErrorKind::Auth => {
                let why = match cause.text.contains("NOAUTH") {
                    true => "it wants a password, and was given none",
                    false => "it refuses the user name or the password",
                };
                (ConnectErrorKind::Refused, why.to_owned())
            }
            _ if is_about_our_certificate(&cause.text) => {
                let why = "it refuses the client's certificate, or wants one";
                (ConnectErrorKind::Refused, why.to_owned())
            }
            _ if cause.text.contains("InvalidCertificate(") => {
                let why = format!("its certificate is not trusted ({})", cause.text);
                (ConnectErrorKind::Unreachable, why)
            }
            _ if cause.text.contains("ConnectionRefused") => {
                let why = "nothing listens there".to_owned();
                (ConnectErrorKind::Unreachable, why)
            }
            FredErrorKind::Config => (ConnectErrorKind::Configuration, cause.text.clone()),
            _ => (ConnectErrorKind::Unreachable, cause.text.clone()),
        };
        Self {
            kind,
            text: format!("cannot connect to Redis at {address}: {why}"),
            source: Some(cause),
        }
    }

    /// No connection within `limit`.
    pub(crate) fn too_slow(address: &str, limit: std::time::Duration) -> Self {
        Self {
            kind: ConnectErrorKind::Unreachable,
            text: format!("cannot connect to Redis at {address}: no answer within {limit:?}"),
            source: None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|cause| cause as _)
    }
}

/// The error for a command of this effect.
pub(crate) fn store_error(error: &FredError, effect: Effect, shared: bool) -> StoreError {
    let kind = Verdict::of(error).kind(effect, shared);
    StoreError::with_source(kind, Cause::of(error))
}

/// An answer that no version of the scripts gives.
pub(crate) fn strange_answer(effect: Effect) -> StoreError {
    let cause = Cause {
        text: "Redis gave an answer of an unexpected type".to_owned(),
    };
    StoreError::with_source(Verdict::Unclear.kind(effect, false), cause)
}

/// Too few replicas have a write. What is told is a count, or why they could not be counted.
pub(crate) fn not_replicated(told: &str) -> StoreError {
    let text = told.to_owned();
    StoreError::with_source(StoreErrorKind::NotReplicated, Cause { text })
}

/// fred's error, reduced to what may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    text: String,
}

impl Cause {
    /// The longest text that is kept, in bytes.
    const LONGEST: usize = 200;

    fn of(error: &FredError) -> Self {
        let kind = error.kind();
        // What could not be parsed may be quoted in these: a stored value.
        if matches!(kind, FredErrorKind::Protocol | FredErrorKind::Parse) {
            return Self {
                text: kind.to_str().to_owned(),
            };
        }
        // `ERR unknown command 'AUTH', with args beginning with: ` would go on with the arguments.
        let details = error.details();
        let safe = details.split(", with args").next().unwrap_or_default();
        Self {
            text: format!("{}: {}", kind.to_str(), cut(safe, Self::LONGEST)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {}

/// Whether the server ends TLS for what the client shows: rustls quotes its alert.
fn is_about_our_certificate(text: &str) -> bool {
    // The last is for a signature of somebody else's with an authority's name.
    const ALERTS: [&str; 3] = ["UnknownCA", "Certificate", "DecryptError"];
    let alert = text.split_once("AlertReceived(").map(|(_, alert)| alert);
    alert.is_some_and(|alert| ALERTS.iter().any(|about| alert.contains(about)))
}

/// The longest start of `text` of at most `longest` bytes.
fn cut(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    use FredErrorKind::{Protocol, Unknown};

    #[test]
    fn a_cause_quotes_no_arguments() {
        let text = "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ";
        let cause = Cause::of(&FredError::new(Unknown, text)).to_string();
        assert_eq!(cause, "Unknown Error: ERR unknown command 'AUTH'");
        let cause = Cause::of(&FredError::new(Protocol, "at hunter2")).to_string();
        assert!(!cause.contains("hunter2"));
        let long = "ä".repeat(500);
        assert!(Cause::of(&FredError::new(Unknown, long)).text.len() < 300);
    }
}
