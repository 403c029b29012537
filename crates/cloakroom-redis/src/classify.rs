//! What the error of a command says: whether the command was sent, whether it was carried out, and
//! what is wrong with the server.

use cloakroom_core::StoreErrorKind;
use fred::error::{Error as FredError, ErrorKind as FredErrorKind};

/// What a command does when it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing, so an unknown outcome does no harm.
    Read,
    /// It changes something, and must not be sent twice.
    Write,
}

/// What the error of a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The command never left the process.
    NeverSent,
    /// No reply came within the timeout.
    TimedOut,
    /// The connection was lost, or the reply cannot be understood: the outcome is unknown.
    Unclear,
    /// The server replied that it is not a primary.
    NoPrimary,
    /// The server replied that it is not ready.
    NotReady,
    /// The server replied that the cluster is down. fred gives that error to every command in flight
    /// on the connection, including those that were carried out.
    ClusterDown,
    /// The server rejected the command.
    Final(StoreErrorKind),
}

/// The error codes of Redis and Valkey that are treated specially.
const CODES: [(&str, ErrorClass); 18] = [
    ("WRONGTYPE", ErrorClass::Final(StoreErrorKind::Unreadable)),
    ("OOM", ErrorClass::Final(StoreErrorKind::OutOfMemory)),
    ("NOAUTH", ErrorClass::Final(StoreErrorKind::Refused)),
    ("WRONGPASS", ErrorClass::Final(StoreErrorKind::Refused)),
    ("NOPERM", ErrorClass::Final(StoreErrorKind::Refused)),
    ("DENIED", ErrorClass::Final(StoreErrorKind::Refused)),
    ("CROSSSLOT", ErrorClass::Final(StoreErrorKind::Refused)),
    ("READONLY", ErrorClass::NoPrimary),
    ("MASTERDOWN", ErrorClass::NoPrimary),
    ("LOADING", ErrorClass::NotReady),
    ("MISCONF", ErrorClass::NotReady),
    ("NOREPLICAS", ErrorClass::NotReady),
    ("BUSY", ErrorClass::NotReady),
    ("TRYAGAIN", ErrorClass::NotReady),
    ("MOVED", ErrorClass::NotReady),
    ("ASK", ErrorClass::NotReady),
    ("NOSCRIPT", ErrorClass::NotReady),
    ("CLUSTERDOWN", ErrorClass::ClusterDown),
];

/// The texts after `ERR` of errors that a server sends before it has executed anything.
const REJECTIONS: [&str; 11] = [
    "unknown command",
    "unknown subcommand",
    "Unknown subcommand",
    // By a script, which stops there.
    "Unknown Redis command",
    "This Redis command is not allowed from",
    "wrong number of arguments",
    "syntax error",
    "invalid expire time",
    "DB index",
    "user_script",
    "Error compiling script",
];

/// The texts of fred 10.1 for a command that was not passed to a connection.
const NEVER_SENT: [&str; 4] = [
    "Connection closed unexpectedly.",
    "Client is not initialized.",
    "Failed to send command to router.",
    "Failed to route command.",
];

/// The text of fred 10.1 for `MOVED`, when no redirections are allowed.
const MOVED: &str = "Too many redirections.";

/// The text of fred 10.1 for a cluster whose `cluster_state` is not `ok` when it connects.
const CLUSTER_DOWN: &str = "Invalid or missing cluster state.";

/// How the errors begin with which a server rejects a script that has flags.
const NOT_RUN: [&str; 7] = [
    "NOPERM ",
    "OOM ",
    "MISCONF ",
    "NOREPLICAS ",
    "ERR Error compiling script",
    "ERR Unexpected flag in script shebang",
    "ERR Unexpected engine in script shebang",
];

/// Whether the server replied that it does not have the command.
pub(crate) fn is_unknown_command(error: &FredError) -> bool {
    error.details().starts_with("ERR unknown command")
}

/// Whether the server replied with an error that says neither what is wrong nor whether it passes: one of a proxy, or
/// of a server that is not Redis or Valkey.
pub(crate) fn is_unknown_reply(error: &FredError) -> bool {
    let is_reply = !matches!(
        error.kind(),
        FredErrorKind::IO | FredErrorKind::Canceled | FredErrorKind::Protocol
    );
    is_reply && ErrorClass::of(error) == ErrorClass::Unclear
}

/// Whether the server replied that the keys of a command are in several slots: it is in cluster mode. The
/// command was not executed.
pub(crate) fn is_cross_slot(error: &FredError) -> bool {
    error.details().starts_with("CROSSSLOT")
}

/// Whether a cluster was down, or not all slots had a node, when fred connected.
pub(crate) fn is_cluster_down(error: &FredError) -> bool {
    error.details() == CLUSTER_DOWN
}

/// Whether the server referred a client that does not know clusters to another node. fred has another text for
/// clients that do: see [`is_moved`].
pub(crate) fn is_referral(error: &FredError) -> bool {
    let text = error.details();
    text.starts_with("MOVED ") || text.starts_with("ASK ")
}

/// Whether a node of a cluster replied that another node has the key. The command was not carried
/// out, and fred has refreshed its slot map since.
pub(crate) fn is_moved(error: &FredError) -> bool {
    error.details() == MOVED
}

/// Whether a node of a cluster rejected the access of a script to a key that it does not have, without
/// executing it.
pub(crate) fn is_rejected_key(error: &FredError) -> bool {
    error.details().contains("non local key")
}

/// Whether a server rejected a script with the flag `allow-cross-slot-keys` before it ran: it does not know such
/// flags, or it checks for the script as a whole what it otherwise checks for each command.
pub(crate) fn is_not_run(error: &FredError) -> bool {
    NOT_RUN
        .iter()
        .any(|start| error.details().starts_with(start))
}

impl ErrorClass {
    pub(crate) fn of(error: &FredError) -> Self {
        match error.kind() {
            FredErrorKind::Timeout => Self::TimedOut,
            FredErrorKind::Backpressure => Self::NeverSent,
            _ if is_moved(error) => Self::NotReady,
            // fred uses one kind for commands that were rejected and for commands that were dropped
            // after they had been sent; only the text tells them apart.
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
        if let Some((_, class)) = CODES.iter().find(|(known, _)| *known == code) {
            return *class;
        }
        if code != "ERR" {
            return Self::Unclear;
        }
        if rest.starts_with("Error running script") {
            // Before Redis 7, the code of the error inside the script is somewhere in the text.
            let known = CODES.iter().find(|(known, _)| contains_word(rest, known));
            return known.map_or(Self::Final(StoreErrorKind::Refused), |(_, class)| *class);
        }
        if rest.starts_with("max number of clients") {
            return Self::NotReady;
        }
        if REJECTIONS.iter().any(|start| rest.starts_with(start)) {
            Self::Final(StoreErrorKind::Refused)
        } else {
            // Proxies send such errors for commands that they have already forwarded.
            Self::Unclear
        }
    }

    /// Returns the kind of the store's error for a command with this effect. `shared` says that fred
    /// is configured to give an error of one command to all commands in flight.
    pub(crate) fn kind(self, effect: Effect, shared: bool) -> StoreErrorKind {
        let is_unknown = match self {
            Self::Final(kind) => return kind,
            Self::NeverSent => false,
            Self::TimedOut | Self::Unclear | Self::ClusterDown => true,
            Self::NoPrimary | Self::NotReady => shared,
        };
        if is_unknown && effect == Effect::Write {
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

    use FredErrorKind::{Auth, Backpressure, Canceled, Cluster, IO, InvalidArgument, Protocol};
    use FredErrorKind::{Routing, Timeout, Unknown};
    use StoreErrorKind as Kind;

    #[test]
    fn an_error_is_mapped_to_a_kind_by_effect() {
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
                "CROSSSLOT Keys in request don't hash to the same slot",
                Kind::Refused,
                Kind::Refused,
            ),
            (
                Unknown,
                "DENIED Redis is running in protected mode",
                Kind::Refused,
                Kind::Refused,
            ),
            (
                Unknown,
                "ERR unknown subcommand 'ID'",
                Kind::Refused,
                Kind::Refused,
            ),
            (
                Unknown,
                "ERR Unknown Redis command called from script script: f_1, on @user_script:1.",
                Kind::Refused,
                Kind::Refused,
            ),
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
                ErrorClass::of(&error).kind(Effect::Read, false),
                read,
                "{text}"
            );
            assert_eq!(
                ErrorClass::of(&error).kind(Effect::Write, false),
                write,
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_that_fred_gives_to_all_commands_leaves_a_write_unknown() {
        let error = FredError::new(Unknown, "READONLY You can't");
        let kind = |effect| ErrorClass::of(&error).kind(effect, true);
        assert_eq!(kind(Effect::Write), Kind::OutcomeUnknown);
        assert_eq!(kind(Effect::Read), Kind::Unavailable);
    }
}
