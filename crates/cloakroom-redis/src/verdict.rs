//! What a command that failed tells: whether it was sent, whether it was carried out, and what ails
//! the server.

use cloakroom_core::StoreErrorKind;
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};

/// What a command does, if it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing, so its outcome does not matter.
    Read,
    /// It changes something, once.
    Write,
}

/// What a failed command tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It never left the process.
    NeverSent,
    /// No answer came within the time limit.
    TimedOut,
    /// The connection was lost, or the answer makes no sense: nothing is known.
    Unclear,
    /// The server answers that it is no primary.
    NoPrimary,
    /// The server answers that it is not ready.
    NotReady,
    /// The server answers that the cluster is not whole. fred gives that answer to every command in
    /// flight on the connection, also to those that were carried out.
    ClusterDown,
    /// The server's answer is final.
    Final(StoreErrorKind),
}

/// The codes with which Redis and Valkey begin an error, as far as they mean something here.
const CODES: [(&str, Verdict); 16] = [
    ("WRONGTYPE", Verdict::Final(StoreErrorKind::Unreadable)),
    ("OOM", Verdict::Final(StoreErrorKind::OutOfMemory)),
    ("NOAUTH", Verdict::Final(StoreErrorKind::Refused)),
    ("WRONGPASS", Verdict::Final(StoreErrorKind::Refused)),
    ("NOPERM", Verdict::Final(StoreErrorKind::Refused)),
    ("READONLY", Verdict::NoPrimary),
    ("MASTERDOWN", Verdict::NoPrimary),
    ("LOADING", Verdict::NotReady),
    ("MISCONF", Verdict::NotReady),
    ("NOREPLICAS", Verdict::NotReady),
    ("BUSY", Verdict::NotReady),
    ("TRYAGAIN", Verdict::NotReady),
    ("MOVED", Verdict::NotReady),
    ("ASK", Verdict::NotReady),
    ("NOSCRIPT", Verdict::NotReady),
    ("CLUSTERDOWN", Verdict::ClusterDown),
];

/// How errors with the code `ERR` go on that are answered before a command does anything.
const REFUSALS: [&str; 7] = [
    "unknown command",
    "wrong number of arguments",
    "syntax error",
    "invalid expire time",
    "DB index",
    "user_script",
    "Error compiling script",
];

/// The texts of fred 10.1 for a command that it did not hand to a connection.
const NEVER_SENT: [&str; 4] = [
    "Connection closed unexpectedly.",
    "Client is not initialized.",
    "Failed to send command to router.",
    "Failed to route command.",
];

/// The text of fred 10.1 for a node's answer that another node has the key, when it follows none.
const ELSEWHERE: &str = "Too many redirections.";

/// Whether a cluster's node answered that another one has the key. It did nothing, and fred has asked
/// since who has which keys.
pub(crate) fn is_elsewhere(error: &FredError) -> bool {
    error.details() == ELSEWHERE
}

impl Verdict {
    pub(crate) fn of(error: &FredError) -> Self {
        match error.kind() {
            FredErrorKind::Timeout => Self::TimedOut,
            FredErrorKind::Backpressure => Self::NeverSent,
            _ if is_elsewhere(error) => Self::NotReady,
            // One kind for "refused at the door" and "given up underway": the text tells.
            FredErrorKind::Canceled | FredErrorKind::Unknown
                if NEVER_SENT.contains(&error.details()) =>
            {
                Self::NeverSent
            }
            FredErrorKind::IO | FredErrorKind::Canceled | FredErrorKind::Protocol => Self::Unclear,
            _ => Self::of_reply(error.details()),
        }
    }

    fn of_reply(text: &str) -> Self {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        if let Some((_, verdict)) = CODES.iter().find(|(known, _)| *known == code) {
            return *verdict;
        }
        if code != "ERR" {
            return Self::Unclear;
        }
        if rest.starts_with("Error running script") {
            // Before Redis 7, the code of what failed inside stands somewhere in the text.
            let known = CODES.iter().find(|(known, _)| contains_word(rest, known));
            return known.map_or(Self::Final(StoreErrorKind::Refused), |(_, verdict)| {
                *verdict
            });
        }
        if rest.starts_with("max number of clients") {
            return Self::NotReady;
        }
        match REFUSALS.iter().any(|start| rest.starts_with(start)) {
            true => Self::Final(StoreErrorKind::Refused),
            // Proxies answer so for what they have sent on.
            false => Self::Unclear,
        }
    }

    /// What is known of a command of this effect. `shared` says that fred was told to answer every
    /// command in flight with an error that only one of them got.
    pub(crate) fn kind(self, effect: Effect, shared: bool) -> StoreErrorKind {
        let unknown = match self {
            Self::Final(kind) => return kind,
            Self::NeverSent => false,
            Self::TimedOut | Self::Unclear | Self::ClusterDown => true,
            Self::NoPrimary | Self::NotReady => shared,
        };
        if unknown && effect == Effect::Write {
            StoreErrorKind::OutcomeUnknown
        } else {
            StoreErrorKind::Unavailable
        }
    }
}

fn contains_word(text: &str, word: &str) -> bool {
    text.split(|sign: char| !sign.is_ascii_alphanumeric())
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::store_error;

    use FredErrorKind::{Auth, Backpressure, Canceled, Cluster, IO, InvalidArgument, Protocol};
    use FredErrorKind::{Routing, Timeout, Unknown};
    use StoreErrorKind as Kind;

    #[test]
    fn what_is_known_after_an_error() {
        for (kind, text, read, write) in [
            (
                Timeout,
                "Request timed out.",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                IO,
                "Connection closed.",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Canceled,
                "Canceled.",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Canceled,
                "Connection closed unexpectedly.",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (
                Unknown,
                "Failed to route command.",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (
                Unknown,
                "Too many failed write attempts.",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Backpressure,
                "Max in-flight",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (
                Routing,
                "Too many redirections.",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (Protocol, "what?", Kind::Unavailable, Kind::OutcomeUnknown),
            (
                Unknown,
                "OOM command not allowed",
                Kind::OutOfMemory,
                Kind::OutOfMemory,
            ),
            (
                InvalidArgument,
                "WRONGTYPE Op",
                Kind::Unreadable,
                Kind::Unreadable,
            ),
            (
                Auth,
                "NOAUTH Authentication required.",
                Kind::Refused,
                Kind::Refused,
            ),
            (Unknown, "NOPERM this user", Kind::Refused, Kind::Refused),
            (
                Unknown,
                "READONLY You can't",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (
                Unknown,
                "LOADING Redis is",
                Kind::Unavailable,
                Kind::Unavailable,
            ),
            (
                Cluster,
                "CLUSTERDOWN The",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Unknown,
                "ERR unknown command 'x'",
                Kind::Refused,
                Kind::Refused,
            ),
            (
                Unknown,
                "ERR Broken pipe",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Unknown,
                "upstream failure",
                Kind::Unavailable,
                Kind::OutcomeUnknown,
            ),
            (
                Unknown,
                "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
                Kind::OutOfMemory,
                Kind::OutOfMemory,
            ),
        ] {
            let error = FredError::new(kind, text);
            assert_eq!(
                store_error(&error, Effect::Read, false).kind(),
                read,
                "{text}"
            );
            assert_eq!(
                store_error(&error, Effect::Write, false).kind(),
                write,
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_that_fred_hands_round_leaves_a_write_unknown() {
        let error = FredError::new(Unknown, "READONLY You can't");
        let kind = |effect| store_error(&error, effect, true).kind();
        assert_eq!(kind(Effect::Write), Kind::OutcomeUnknown);
        assert_eq!(kind(Effect::Read), Kind::Unavailable);
    }
}
