//! What is known when a reply does not arrive.

use std::time::Duration;

use cloakroom_core::{Realm, Store, StoreErrorKind, UserId, UserIndex, UserKey};
use cloakroom_redis::RedisStore;
use tests::proxy::{Network, Proxy};
use tests::records::{MINUTE, add_request, session};
use tests::redis::RedisServer;
use tests::wait::within;

/// Generous, for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A page after the first is read with a script, which changes nothing: so it does not matter whether it was run.
#[tokio::test]
async fn a_list_whose_reply_is_lost_has_no_unknown_outcome() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = RedisStore::builder(proxy.url(), "cloakroom")
        .with_command_timeout(Duration::from_secs(1))
        .with_connect_timeout(LIMIT);
    let store = store.connect().await.expect("the server is running");
    let ada = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    let (id, record) = session(1);
    let request = add_request(id, &record);
    proxy.set(Network::RepliesDropped);
    for after in [None, Some(id)] {
        let error = store.list(&ada, after).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{after:?}");
    }
    // Nothing is sent while the server is known to be down.
    proxy.set(Network::Normal);
    proxy.disconnect();
    let is_back = async || store.ping().await.is_ok();
    within("it is back", LIMIT, is_back).await;
    proxy.set(Network::RepliesDropped);
    let created = store.create_for_user(&ada, &request, &record, MINUTE, None);
    assert_eq!(
        created.await.unwrap_err().kind(),
        StoreErrorKind::OutcomeUnknown
    );
}
