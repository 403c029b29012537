//! What a store finds out about its server when it connects: what would otherwise fail later, again and again.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Value;

use crate::classify::{ErrorClass, is_referral, is_unknown_reply};
use crate::command::permissions::{
    Missing, Names, missing_for_key, missing_on_nodes, with_purpose,
};
use crate::connection::{Connection, with_timeout};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::health::{Health, Role, ServerMode};
use crate::log;

/// How many keys are read to find out whether a server in cluster mode has all slots. With two shards, one server of
/// 65,536 has the slots of all these keys; then a later `MOVED` is an error of kind `Refused`.
const SAMPLES: usize = 16;

/// Checks that the server has the commands that the store needs, that the user may send them, and whether the
/// server is in cluster mode. Each command may take `limit`, and so may those to the primaries of a cluster together.
///
/// A server that is loading, slow or otherwise not ready is no error, since that passes by itself: then the rest is not
/// checked, and each request finds out.
pub(crate) async fn check(
    connection: &Connection,
    names: Names<'_>,
    limit: Duration,
) -> Result<(), ConnectError> {
    let address = connection.address();
    let Ok(client) = connection.client() else {
        return Ok(());
    };
    let client = with_timeout(&client, limit);
    match missing_for_key(&client, names).await {
        Ok(mut missing) => {
            if connection.knows_clusters() {
                let nodes = connection.nodes();
                missing.merge(missing_on_nodes(&client, nodes, names).await);
            }
            check_missing(address, missing)?;
        }
        Err(error) if matches!(ErrorClass::of(&error), ErrorClass::Final(_)) => {
            return Err(ConnectError::script_rejected(address, &error));
        }
        Err(error) if is_referral(&error) => return Err(one_of_several_shards(connection)),
        Err(error) if is_unknown_reply(&error) => {
            return Err(ConnectError::script_failed(address, &error));
        }
        Err(_) => return Ok(()),
    }
    if connection.knows_clusters() {
        return Ok(());
    }
    check_mode(connection, &client, names.key).await
}

/// The same in the background, as soon as there is a connection. What is found is logged.
pub(crate) async fn check_later(
    connection: impl Future<Output = Option<Connection>>,
    names: Names<'_>,
    limit: Duration,
) {
    if let Some(connection) = connection.await
        && let Err(error) = check(&connection, names, limit).await
    {
        log::unusable(&error.to_string());
    }
}

fn check_missing(address: &str, mut missing: Missing) -> Result<(), ConnectError> {
    let optional = missing.take_optional();
    if !optional.is_empty() {
        log::missing_commands(address, &with_purpose(&optional));
    }
    if !missing.unknown.is_empty() {
        let why = format!(
            "the server does not have {}, which the store needs",
            with_purpose(&missing.unknown)
        );
        let kind = ConnectErrorKind::Unsupported;
        return Err(ConnectError::unusable(kind, address, &why));
    }
    if !missing.forbidden.is_empty() {
        let why = format!(
            "the user may not send {} on the store's keys: grant it the rights listed in the documentation of \
             cloakroom-redis, for this app's name",
            with_purpose(&missing.forbidden)
        );
        let kind = ConnectErrorKind::Refused;
        return Err(ConnectError::unusable(kind, address, &why));
    }
    Ok(())
}

/// Finds out about a server behind a URL that is not that of a cluster.
async fn check_mode(
    connection: &Connection,
    client: &WithOptions<Client>,
    key: &str,
) -> Result<(), ConnectError> {
    // A proxy may not have `INFO`.
    let Ok(info) = client.info::<String>(None).await else {
        return Ok(());
    };
    let Some(health) = Health::parse(&info) else {
        return Ok(());
    };
    if health.role() == Role::Replica {
        log::replica(connection.address());
    }
    if health.mode() != ServerMode::Cluster {
        return Ok(());
    }
    connection.found_cluster_mode();
    for sample in 0..SAMPLES {
        let reply: Result<Value, FredError> = client.get(format!("{key}-{sample}")).await;
        let Err(error) = reply else {
            continue;
        };
        if is_referral(&error) {
            return Err(one_of_several_shards(connection));
        }
        break;
    }
    Ok(())
}

/// The error for a shard whose clients would have to know the others, too.
fn one_of_several_shards(connection: &Connection) -> ConnectError {
    let why = "it is one of several shards of a cluster, so most sessions would be out of reach: use a \
               `redis-cluster` URL";
    ConnectError::unusable(ConnectErrorKind::Configuration, connection.address(), why)
}
