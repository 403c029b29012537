//! An error of a merged command reaches each caller. It is no proof that nothing was executed, so nothing is sent again.

use cloakroom_core::{Store, StoreErrorKind};
use cloakroom_redis::{AppScript, RedisStore};
use futures_util::future::join_all;
use tests::generous;
use tests::records::{MINUTE, next};
use tests::redis::RedisServer;

use crate::merged_commands::{begin_many, open};

/// A store whose user has the documented rights.
async fn open_as_user(server: &RedisServer) -> RedisStore {
    server.add_user(&[]);
    let builder = generous::redis(server.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await;
    store.expect("the rights suffice")
}

#[tokio::test]
async fn loads_that_are_refused_together_each_fail() {
    let server = RedisServer::start();
    let store = open_as_user(&server).await;
    let sessions = begin_many(&store).await;
    server.command(&["ACL", "SETUSER", "shop", "-mget"]);
    let loaded = join_all(sessions.iter().map(|(id, _)| store.load(*id))).await;
    let mut loaded = loaded.into_iter();
    let first = loaded.next().expect("there are many");
    first.expect("it was sent before the others");
    for loaded in loaded {
        assert_eq!(loaded.unwrap_err().kind(), StoreErrorKind::Refused);
    }
    let ids: Vec<_> = sessions.iter().map(|(id, _)| *id).collect();
    for loaded in store.load_many(&ids).await {
        assert_eq!(loaded.unwrap_err().kind(), StoreErrorKind::Refused);
    }
}

#[tokio::test]
async fn scripts_that_are_refused_together_each_fail() {
    let server = RedisServer::start();
    let store = open_as_user(&server).await;
    let sessions = begin_many(&store).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("return redis.call('GET', KEYS[1])");
    let update_all = async || {
        let updates = sessions.iter().map(async |(id, record)| {
            let after = next(record, 1);
            store.update(*id, record.revision(), &after, MINUTE).await
        });
        join_all(updates).await
    };
    let run_all = async || {
        let run = async |call: usize| {
            let keys = [scripts.key(&format!("number:{call}"))];
            scripts.run(&script, &keys, &[]).await
        };
        join_all((0..40).map(run)).await
    };
    server.command(&["ACL", "SETUSER", "shop", "-evalsha", "-eval"]);
    for updated in update_all().await {
        assert_eq!(updated.unwrap_err().kind(), StoreErrorKind::Refused);
    }
    assert!(!scripts.is_clustered(), "no error says so");
    for reply in run_all().await {
        assert_eq!(reply.unwrap_err().kind(), StoreErrorKind::Refused);
    }
    assert!(!scripts.is_clustered(), "no error says so");
    server.command(&["ACL", "SETUSER", "shop", "+evalsha", "+eval"]);
    assert!(update_all().await.into_iter().all(|one| one.is_ok()));
    assert!(run_all().await.into_iter().all(|one| one.is_ok()));
}

#[tokio::test]
async fn a_script_that_fails_is_not_run_again() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("redis.call('INCR', KEYS[1]) return redis.error_reply('ERR late')");
    let key = [scripts.key("number")];
    // The second time, the server knows the script.
    for runs in ["1", "2"] {
        let failed = scripts.run(&script, &key, &[]).await.unwrap_err();
        assert_eq!(failed.kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(server.command(&["GET", &key[0]]).text(), runs);
    }
}
