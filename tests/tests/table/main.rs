//! The table "What happens when", row by row, on the store in memory and on a real Redis.

#[cfg(test)]
mod endings;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod writes;

use cloakroom_core::ManualClock;
use cloakroom_redis::RedisStore;
use tests::app::Stage;
use tests::redis::RedisServer;

async fn stage_on(server: &RedisServer) -> Stage<RedisStore> {
    let store = RedisStore::connect(server.url()).await;
    Stage::on(store.expect("the server runs"), ManualClock::default())
}

/// Runs each row on both stores. A row is a generic function over a [`Stage`](tests::app::Stage).
macro_rules! rows {
    ($($row:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $row() {
                    super::$row(tests::app::Stage::memory()).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test]
                async fn $row() {
                    let server = tests::redis::RedisServer::start();
                    super::$row($crate::stage_on(&server).await).await;
                }
            )*
        }
    };
}
pub(crate) use rows;
