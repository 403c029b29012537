//! `scripts/permissions.lua`: what the store cannot do with its user on its server.

use bytes::Bytes;
use cloakroom_core::StoreErrorKind;
use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::config::Server;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::Instant;

use super::args::hash_of;
use super::eval::unexpected_merged_reply;
use crate::classify::{ErrorClass, is_unknown_command};
use crate::connection::{for_node, with_remaining_timeout};

/// Always sent as text, since it is used rarely.
const PERMISSIONS: &str = include_str!("../scripts/permissions.lua");

/// Commands without which sessions can be kept, and what needs them. `docs/servers.md` says what happens without them.
const OPTIONAL: [(&str, &str); 7] = [
    ("scan", "`revoke_everyone`"),
    ("publish", "events"),
    ("subscribe", "events"),
    ("ping", "`RedisStore::ping`"),
    ("info", "`RedisStore::health` and the near cache"),
    ("hello", "events and the near cache"),
    ("client|id", "events"),
];

/// Commands that only an option needs, which it names.
const FOR_OPTIONS: [(&str, &str); 1] = [("wait", "`with_replica_acks`")];

/// What the store cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The commands that the user may not send.
    pub(crate) forbidden: Vec<String>,
    /// The commands that the server does not have, and `cmsgpack`, if its Lua does not have that library.
    pub(crate) unknown: Vec<String>,
}

impl Missing {
    /// Removes what is not necessary for keeping sessions, and returns it.
    pub(crate) fn take_optional(&mut self) -> Vec<String> {
        let is_optional = |name: &mut String| OPTIONAL.iter().any(|(known, _)| known == name);
        let mut optional: Vec<_> = self.forbidden.extract_if(.., is_optional).collect();
        optional.extend(self.unknown.extract_if(.., is_optional));
        optional
    }

    /// Adds what cannot be done on another node.
    pub(crate) fn merge(&mut self, other: Self) {
        for (here, there) in [
            (&mut self.forbidden, other.forbidden),
            (&mut self.unknown, other.unknown),
        ] {
            for name in there {
                if !here.contains(&name) {
                    here.push(name);
                }
            }
        }
    }
}

/// Returns the names with what needs them, if that is only a part of the store.
pub(crate) fn with_purpose(names: &[String]) -> String {
    let with_purpose = names.iter().map(|name| {
        let mut known = OPTIONAL.iter().chain(&FOR_OPTIONS);
        match known.find(|(known, _)| known == name) {
            Some((_, purpose)) => format!("{name} (for {purpose})"),
            None if name == "cmsgpack" => "the Lua library cmsgpack".to_owned(),
            None => name.clone(),
        }
    });
    with_purpose.collect::<Vec<_>>().join(", ")
}

/// The names that the script is called with.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// A key with the store's prefix that is never used.
    pub(crate) key: &'a str,
    /// The channel for events.
    pub(crate) channel: &'a str,
    /// Commands to check, besides those that every store sends.
    pub(crate) further: &'a [&'static str],
}

/// Runs the script on any node.
pub(crate) async fn missing(
    client: &WithOptions<Client>,
    names: Names<'_>,
) -> Result<Missing, FredError> {
    run(client, ClusterHash::Random, &[], names).await
}

/// Runs the script on each primary of a cluster, one after the other, all within the client's timeout. One that does not
/// reply is left out: each request finds out.
pub(crate) async fn missing_on_nodes(
    client: &WithOptions<Client>,
    nodes: Vec<Option<Server>>,
    names: Names<'_>,
) -> Missing {
    let began = Instant::now();
    let mut all = Missing::default();
    for node in nodes {
        let client = for_node(&with_remaining_timeout(client, began), node);
        match missing(&client, names).await {
            Ok(missing) => all.merge(missing),
            Err(error) => all.merge(without_eval(&error).unwrap_or_default()),
        }
    }
    all
}

/// Runs the script as the store runs its own: with a key, on the node that has it.
pub(crate) async fn missing_for_key(
    client: &WithOptions<Client>,
    names: Names<'_>,
) -> Result<Missing, FredError> {
    run(client, hash_of(names.key), &[names.key], names).await
}

async fn run(
    client: &WithOptions<Client>,
    slot: ClusterHash,
    keys: &[&str],
    names: Names<'_>,
) -> Result<Missing, FredError> {
    let bytes = |text: &str| Value::from(Bytes::copy_from_slice(text.as_bytes()));
    let mut args = vec![
        Value::from_static_str(PERMISSIONS),
        keys.len().to_string().into(),
    ];
    args.extend(keys.iter().map(|key| bytes(key)));
    args.extend([bytes(names.key), bytes(names.channel)]);
    args.extend(
        names
            .further
            .iter()
            .map(|&name| Value::from_static_str(name)),
    );
    let eval = CustomCommand::new_static("EVAL", slot, false);
    let reply: Value = client.custom(eval, args).await?;
    read(reply).ok_or_else(unexpected_merged_reply)
}

/// What is missing, as far as is known, if this error says that the user may not even send `EVAL`, or that the server
/// does not have it. `None` for other errors, which say nothing about either.
pub(super) fn without_eval(error: &FredError) -> Option<Missing> {
    if ErrorClass::of(error) != ErrorClass::Final(StoreErrorKind::Refused) {
        return None;
    }
    let mut missing = Missing::default();
    let list = if is_unknown_command(error) {
        &mut missing.unknown
    } else {
        &mut missing.forbidden
    };
    list.push("eval".to_owned());
    Some(missing)
}

fn read(reply: Value) -> Option<Missing> {
    let Value::Array(lists) = reply else {
        return None;
    };
    let [forbidden, unknown] = lists.try_into().ok()?;
    Some(Missing {
        forbidden: forbidden.convert().ok()?,
        unknown: unknown.convert().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind as FredErrorKind;

    use super::*;

    fn missing(forbidden: &[&str], unknown: &[&str]) -> Missing {
        Missing {
            forbidden: forbidden.iter().map(|&name| name.to_owned()).collect(),
            unknown: unknown.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn only_an_error_about_eval_says_that_it_is_missing() {
        let lacks = |kind, text: &'static str| without_eval(&FredError::new(kind, text));
        let forbidden = "NOPERM this user has no permissions to run the 'eval' command";
        let unknown = "ERR unknown command 'EVAL', with args beginning with:";
        assert_eq!(
            lacks(FredErrorKind::Unknown, forbidden),
            Some(missing(&["eval"], &[]))
        );
        assert_eq!(
            lacks(FredErrorKind::Unknown, unknown),
            Some(missing(&[], &["eval"]))
        );
        assert_eq!(lacks(FredErrorKind::Timeout, "Request timed out."), None);
        assert_eq!(lacks(FredErrorKind::IO, "Connection closed."), None);
        assert_eq!(
            lacks(FredErrorKind::Unknown, "LOADING Redis is loading"),
            None
        );
    }

    #[test]
    fn what_is_missing_is_named_with_what_needs_it() {
        let names = ["get", "wait", "cmsgpack"].map(str::to_owned);
        assert_eq!(
            with_purpose(&names),
            "get, wait (for `with_replica_acks`), the Lua library cmsgpack"
        );
    }

    #[test]
    fn what_several_nodes_lack_is_named_once() {
        let mut all = Missing::default();
        all.merge(missing(&["get"], &["scan"]));
        all.merge(missing(&["set", "get"], &[]));
        all.merge(missing(&[], &["scan", "eval"]));
        assert_eq!(all, missing(&["get", "set"], &["scan", "eval"]));
    }

    #[test]
    fn the_reply_is_two_lists() {
        let list = |names: &[&'static str]| {
            Value::Array(
                names
                    .iter()
                    .map(|name| Value::from_static_str(name))
                    .collect(),
            )
        };
        let mut missing = read(Value::Array(vec![list(&["get", "scan"]), list(&[])])).unwrap();
        assert_eq!(missing.forbidden, ["get", "scan"]);
        let optional = missing.take_optional();
        assert_eq!(optional, ["scan"]);
        assert_eq!(with_purpose(&optional), "scan (for `revoke_everyone`)");
        assert_eq!(missing.forbidden, ["get"]);
        assert_eq!(missing.unknown, Vec::<String>::new());
        for strange in [Value::Null, list(&["get"]), Value::Integer(1)] {
            assert_eq!(read(strange), None);
        }
    }
}
