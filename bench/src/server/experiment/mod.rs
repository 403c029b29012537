//! Ways that were tried, and are not shipped: Cloakroom's commands through redis-rs, and updates by `SET … IFEQ`, which
//! Valkey has since 8.1 and Redis since 8.4. See `docs/performance.md`.

mod connection;
mod floor;
mod native;
mod scripts;
mod store;

use std::time::Duration;

use axum::Router;
use cloakroom_redis::RedisStore;
use fred::interfaces::ClientLike;
use fred::types::Builder;
use fred::types::config::Config;

use self::connection::Connection;
pub(super) use self::floor::app as floor;
use self::native::Texts;
use self::scripts::Scripts;
use self::store::{ExperimentalStore, Link};
use super::cloakroom::{app_on, store as shipped_store};
use crate::BoxError;
use crate::args::ServeArgs;

/// The timeout of a command, as in the store that is shipped.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The client that sends the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// As shipped, with merged commands.
    Fred,
    /// redis-rs, with each command by itself.
    RedisRs,
}

/// How a record is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// By `update.lua`.
    Script,
    /// By `SET … IFEQ … GET`.
    Native,
}

/// Cloakroom with this client and this way to replace records.
pub(super) async fn cloakroom(
    args: ServeArgs,
    client: Client,
    update: Update,
) -> Result<Router, BoxError> {
    let (shipped, link) = match client {
        Client::Fred => {
            let client = fred_client(args).await?;
            let shipped = RedisStore::from_client(client.clone(), "cloakroom")?;
            (shipped, Link::Fred(client))
        }
        Client::RedisRs => {
            let redis = Connection::open(args, Some(TIMEOUT)).await?;
            let scripts = Scripts::load(&redis).await?;
            (shipped_store(args).await?, Link::RedisRs(redis, scripts))
        }
    };
    let store = ExperimentalStore {
        shipped,
        link,
        cluster: args.setting.cluster,
        texts: (update == Update::Native).then(Texts::default),
    };
    app_on(store, args)
}

/// A client that is configured as that of the store.
async fn fred_client(args: ServeArgs) -> Result<fred::clients::Client, BoxError> {
    let mut client = Builder::from_config(Config::from_url(&args.url())?);
    client.with_connection_config(|config| config.tcp.nodelay = Some(true));
    client.with_performance_config(|config| config.default_command_timeout = TIMEOUT);
    let client = client.build()?;
    client.init().await?;
    Ok(client)
}
