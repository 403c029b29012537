//! Errors: [`ConnectError`] for opening a store, and the conversion of fred's errors to
//! [`StoreError`].

use std::error::Error;
use std::fmt;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};

use crate::classify::{Effect, ErrorClass, is_cluster_down, is_unknown_command};
use crate::wording::{is_about_client_certificate, plain, speaks_no_tls};

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
    /// The server rejects the credentials or the client's certificate, or requires some; or the user may not
    /// send the commands that the store needs. It stays so until someone changes it.
    Refused,
    /// The server does not have a command that the store needs or cannot run its scripts, because a command was renamed
    /// or removed, or because the server is not Redis or Valkey.
    Unsupported,
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
        let (kind, why) = explain(error, is_tls(address));
        Self {
            kind,
            text: format!("cannot connect to Redis at {address}: {why}"),
            source: Some(Cause::of(error)),
        }
    }

    /// The server at `address` can be reached, but cannot keep sessions.
    pub(crate) fn unusable(kind: ConnectErrorKind, address: &str, why: &str) -> Self {
        Self {
            kind,
            text: format!("cannot use Redis at {address}: {why}"),
            source: None,
        }
    }

    /// The server at `address` rejected the first script, for a reason that does not pass by itself.
    pub(crate) fn script_rejected(address: &str, error: &FredError) -> Self {
        let details = safe_details(error);
        let (kind, why) = if is_unknown_command(error) {
            (
                ConnectErrorKind::Unsupported,
                "the server does not have the command `EVAL`, which the store needs".to_owned(),
            )
        } else if error.details().starts_with("NOPERM") {
            let why = format!(
                "the user may not send `EVAL` on the store's keys, which the store needs: grant it the rights \
                 listed in the documentation of cloakroom-redis ({details})"
            );
            (ConnectErrorKind::Refused, why)
        } else {
            let why = format!("the server cannot run the store's scripts with `EVAL` ({details})");
            (ConnectErrorKind::Unsupported, why)
        };
        Self {
            source: Some(Cause::of(error)),
            ..Self::unusable(kind, address, &why)
        }
    }

    /// The server at `address` replied to the first script with an error that nothing is known about.
    pub(crate) fn script_failed(address: &str, error: &FredError) -> Self {
        let why = format!(
            "the store needs `EVAL`, and the first script failed: {}",
            safe_details(error)
        );
        Self {
            source: Some(Cause::of(error)),
            ..Self::unusable(ConnectErrorKind::Unreachable, address, &why)
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

/// The kind of an error of fred's, and what to tell the operator. `tls` says whether the URL asks for TLS.
fn explain(error: &FredError, tls: bool) -> (ConnectErrorKind, String) {
    if let Some(why) = refusal(error) {
        return (ConnectErrorKind::Refused, why);
    }
    if is_unknown_command(error) {
        return (ConnectErrorKind::Unsupported, safe_details(error));
    }
    if is_cluster_down(error) {
        let why = "the cluster is down, or not all slots have a node: check `CLUSTER INFO`";
        return (ConnectErrorKind::Unreachable, why.to_owned());
    }
    let why = match error.kind() {
        FredErrorKind::Config => return (ConnectErrorKind::Configuration, safe_details(error)),
        FredErrorKind::Timeout => "no response in time".to_owned(),
        _ if is_closed(error) => "the server closed the connection".to_owned(),
        _ => safe_details(error),
    };
    let why = match advice(error, tls) {
        Some(advice) => format!("{why}: {advice}"),
        None => why,
    };
    (ConnectErrorKind::Unreachable, why)
}

/// Why the server rejects the connection of this client until someone changes the configuration, if it does.
pub(crate) fn rejection(error: &FredError) -> Option<String> {
    let is_rejected = || is_unknown_command(error).then(|| safe_details(error));
    refusal(error).or_else(is_rejected)
}

/// Why the server refuses this client, if it does.
fn refusal(error: &FredError) -> Option<String> {
    let text = error.details();
    let why = match error.kind() {
        FredErrorKind::Auth if text.contains("NOAUTH") => {
            "the server requires a password, and none is configured"
        }
        FredErrorKind::Auth => "the server rejects the user name or the password",
        _ if text.starts_with("DENIED ") => {
            "the server is in protected mode, and accepts clients of its own machine only: set a password \
             or `protected-mode no`"
        }
        _ if text.starts_with("NOPERM ") || is_about_client_certificate(text) => {
            return Some(safe_details(error));
        }
        _ => return None,
    };
    Some(why.to_owned())
}

/// What to change if only one side speaks TLS. A server that does sends an alert to one that does not, or closes the
/// connection; a server without TLS may wait for the end of a line.
fn advice(error: &FredError, tls: bool) -> Option<&'static str> {
    let is_plain_reply = speaks_no_tls(error.details()) || *error.kind() == FredErrorKind::Timeout;
    if tls {
        return is_plain_reply.then_some("for a server without TLS, use a `redis` URL");
    }
    let is_tls_reply = *error.kind() == FredErrorKind::Protocol || is_closed(error);
    is_tls_reply.then_some("if it expects TLS, use a `rediss` URL")
}

/// Whether the server accepted the connection and closed it.
fn is_closed(error: &FredError) -> bool {
    let text = error.details();
    let closed = ["UnexpectedEof", "ConnectionReset", "BrokenPipe"];
    closed.iter().any(|kind| text.contains(kind))
        || matches!(error.kind(), FredErrorKind::IO) && text.contains("closed")
}

/// Whether a URL, in the form without credentials, asks for TLS.
fn is_tls(address: &str) -> bool {
    address.starts_with("rediss") || address.starts_with("valkeys")
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

/// Converts fred's error of this class for a command with this effect. For `shared` see
/// [`ErrorClass::kind`].
pub(crate) fn store_error(
    error: &FredError,
    class: ErrorClass,
    effect: Effect,
    shared: bool,
) -> StoreError {
    StoreError::with_source(class.kind(effect, shared), Cause::of(error))
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
        let (kind, details) = (error.kind().to_str(), safe_details(error));
        Self {
            text: format!("{kind}: {details}"),
        }
    }
}

/// The text of an error, in plain words, and without what may be secret.
fn safe_details(error: &FredError) -> String {
    // These may quote what could not be parsed, which can be a stored value.
    if matches!(error.kind(), FredErrorKind::Protocol | FredErrorKind::Parse) {
        return "the server's reply is not one of Redis".to_owned();
    }
    // `ERR unknown command 'AUTH', with args beginning with: ` would go on with the arguments.
    let details = error.details();
    let safe = details.split(", with args").next().unwrap_or_default();
    truncate(&plain(safe), Cause::MAX_LEN).to_owned()
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {}

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

    use FredErrorKind::{Auth, IO, Protocol, Unknown};

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

    #[test]
    fn an_error_of_a_connection_says_what_to_do() {
        use ConnectErrorKind::{Refused, Unreachable, Unsupported};
        let eof = "Kind(UnexpectedEof)";
        let alert = "Custom { kind: InvalidData, error: InvalidMessage(InvalidContentType) }";
        for (url, kind, text, expected, says) in [
            (
                "redis://a",
                Auth,
                "NOAUTH x",
                Refused,
                "requires a password",
            ),
            (
                "redis://a",
                Auth,
                "WRONGPASS x",
                Refused,
                "rejects the user",
            ),
            (
                "redis://a",
                Unknown,
                "DENIED Redis is running in protected mode",
                Refused,
                "protected mode",
            ),
            (
                "redis://a",
                Unknown,
                "ERR unknown command 'AUTH', with args beginning with: 'hunter2'",
                Unsupported,
                "unknown command 'AUTH'",
            ),
            ("redis://a", IO, eof, Unreachable, "use a `rediss` URL"),
            (
                "redis://a",
                Protocol,
                "?",
                Unreachable,
                "use a `rediss` URL",
            ),
            ("rediss://a", IO, alert, Unreachable, "use a `redis` URL"),
            (
                "rediss://a",
                IO,
                eof,
                Unreachable,
                "a: the server closed the connection",
            ),
        ] {
            let error = ConnectError::no_connection(url, &FredError::new(kind, text));
            assert_eq!(error.kind(), expected, "{error}");
            assert!(error.to_string().contains(says), "{error}");
            let text = error.to_string();
            assert!(
                !text.contains(['{', '(']) && !text.contains("hunter2"),
                "{error}"
            );
        }
    }
}
