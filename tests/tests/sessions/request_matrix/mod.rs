//! Every kind of request against every state of the session, on the store in memory and on a real
//! Redis.

mod endings;
mod failures;
mod reads;
mod writes;

use cloakroom_core::ManualClock;
use cloakroom_redis::RedisStore;
use tests::app::Fixture;
use tests::generous;
use tests::redis::RedisServer;

async fn fixture_on(server: &RedisServer) -> Fixture<RedisStore> {
    let store = generous::connect(server.url(), "cloakroom").await;
    Fixture::on(store.expect("the server runs"), ManualClock::default())
}

/// Runs each row on both stores. A row is a function that is generic over the store of its
/// [`Fixture`](tests::app::Fixture).
macro_rules! rows {
    ($($row:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $row() {
                    super::$row(tests::app::Fixture::memory()).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test]
                async fn $row() {
                    let server = tests::redis::RedisServer::start();
                    super::$row(crate::request_matrix::fixture_on(&server).await).await;
                }
            )*
        }
    };
}
pub(crate) use rows;
