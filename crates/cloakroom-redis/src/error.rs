//! Errors: [`ConnectError`] for opening a store, and the conversion of fred's errors to
//! [`StoreError`].

use std::error::Error;
use std::fmt;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};

use crate::classify::{Effect, ErrorClass};

/// A store could not be opened.
///
/// Its text is one line, with the server's address and without credentials.
#[derive(Clone, Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    text: String,
    source: Option<Cause>,
}

/// What to do about a [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The configuration cannot work with any server: correct it.
    Configuration,
    /// The server does not respond, or is not ready yet: it may be worth another attempt.
    Unreachable,
    /// The server rejects the credentials or the client's certificate, or requires some.
    Refused,
}

impl ConnectError {
    /// Returns the kind of the error, which says what to do about it.
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

    /// There is no connection to the server at `address`, a URL without credentials.
    pub(crate) fn no_connection(address: &str, error: &FredError) -> Self {
        let cause = Cause::of(error);
        let (kind, why) = explain(error.kind(), &cause.text);
        Self {
            kind,
            text: format!("cannot connect to Redis at {address}: {why}"),
            source: Some(cause),
        }
    }

    /// There was no connection within `limit`.
    pub(crate) fn timed_out(address: &str, limit: Duration) -> Self {
        Self {
            kind: ConnectErrorKind::Unreachable,
            text: format!("cannot connect to Redis at {address}: no response within {limit:?}"),
            source: None,
        }
    }
}

/// The kind of an error of fred's with this text, and what to tell the operator.
fn explain(kind: &FredErrorKind, text: &str) -> (ConnectErrorKind, String) {
    match kind {
        FredErrorKind::Auth if text.contains("NOAUTH") => (
            ConnectErrorKind::Refused,
            "the server requires a password, and none is configured".to_owned(),
        ),
        FredErrorKind::Auth => (
            ConnectErrorKind::Refused,
            "the server rejects the user name or the password".to_owned(),
        ),
        _ if is_about_client_certificate(text) => (
            ConnectErrorKind::Refused,
            "the server rejects the client's certificate, or requires one".to_owned(),
        ),
        _ if text.contains("InvalidCertificate(") => (
            ConnectErrorKind::Unreachable,
            format!("the server's certificate is not trusted ({text})"),
        ),
        _ if text.contains("ConnectionRefused") => (
            ConnectErrorKind::Unreachable,
            "connection refused".to_owned(),
        ),
        FredErrorKind::Config => (ConnectErrorKind::Configuration, text.to_owned()),
        _ => (ConnectErrorKind::Unreachable, text.to_owned()),
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

/// Converts fred's error for a command with this effect. For `shared` see [`ErrorClass::kind`].
pub(crate) fn store_error(error: &FredError, effect: Effect, shared: bool) -> StoreError {
    let kind = ErrorClass::of(error).kind(effect, shared);
    StoreError::with_source(kind, Cause::of(error))
}

/// The error for a reply of a type that the command never has.
pub(crate) fn unexpected_reply(effect: Effect) -> StoreError {
    let cause = Cause {
        text: "Redis sent a reply of an unexpected type".to_owned(),
    };
    StoreError::with_source(ErrorClass::Unclear.kind(effect, false), cause)
}

/// The error for a write that too few replicas have. `details` is the count, or why it is unknown.
pub(crate) fn not_replicated(details: &str) -> StoreError {
    let text = details.to_owned();
    StoreError::with_source(StoreErrorKind::NotReplicated, Cause { text })
}

/// fred's error, reduced to what may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    text: String,
}

impl Cause {
    /// The maximum length of the text, in bytes.
    const MAX_LEN: usize = 200;

    fn of(error: &FredError) -> Self {
        let kind = error.kind();
        // These may quote what could not be parsed, which can be a stored value.
        if matches!(kind, FredErrorKind::Protocol | FredErrorKind::Parse) {
            return Self {
                text: kind.to_str().to_owned(),
            };
        }
        // `ERR unknown command 'AUTH', with args beginning with: ` would go on with the arguments.
        let details = error.details();
        let safe = details.split(", with args").next().unwrap_or_default();
        Self {
            text: format!("{}: {}", kind.to_str(), truncate(safe, Self::MAX_LEN)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {}

/// Whether the server closed the TLS connection because of the client's certificate: rustls quotes the
/// server's alert in its error.
fn is_about_client_certificate(text: &str) -> bool {
    // `DecryptError` is sent for a certificate that claims an authority which did not sign it.
    const ALERTS: [&str; 3] = ["UnknownCA", "Certificate", "DecryptError"];
    let alert = text.split_once("AlertReceived(").map(|(_, alert)| alert);
    alert.is_some_and(|alert| ALERTS.iter().any(|about| alert.contains(about)))
}

/// The longest prefix of `text` with at most `max_len` bytes.
fn truncate(text: &str, max_len: usize) -> &str {
    let mut end = max_len.min(text.len());
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
