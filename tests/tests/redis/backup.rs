//! What survives a crash, a restart and a restore, as seen by browsers; and what a restore brings back.

use std::time::Duration;

use axum::Router;
use cloakroom::{Destroyed, Session};
use cloakroom_core::Store;
use cloakroom_core::store::{Created, Loaded};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::backup::Backup;
use tests::browser::Browser;
use tests::generous;
use tests::records::session;
use tests::redis::RedisServer;
use tests::topology::wait_for;
use tests::wait::eventually;
use tokio::task::JoinSet;

/// Every write is synced to disk before it is acknowledged.
const AOF: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn connect(server: &RedisServer) -> RedisStore {
    let store = generous::connect(server.url(), "cloakroom").await;
    store.expect("the server is running")
}

async fn app_on(server: &RedisServer) -> Router {
    app(generous::layer(connect(server).await))
}

async fn signed_in(app: &Router) -> Browser {
    let mut browser = Browser::new(app.clone());
    let begin = |session: Session| async move { session.insert("n", 1) };
    assert!(browser.request(begin).await.status.is_success());
    assert_eq!(browser.read().await, Some(1));
    browser
}

/// Signs out, and keeps the cookie, as an attacker would.
async fn sign_out(browser: &Browser) {
    let leave = |session: Session| async move {
        assert_eq!(session.destroy().await?, Destroyed::Ended);
        Ok(())
    };
    assert!(browser.clone().request(leave).await.status.is_success());
}

/// What browsers with these cookies read on this server.
async fn seen_on(server: &RedisServer, browsers: &[&Browser]) -> Vec<Option<u32>> {
    let app = app_on(server).await;
    let mut seen = Vec::new();
    for browser in browsers {
        seen.push(browser.on(app.clone()).read().await);
    }
    seen
}

fn info_has(server: &RedisServer, line: &str) -> bool {
    let text = server.command(&["INFO", "persistence"]).text();
    text.lines().any(|found| found == line)
}

fn save(server: &RedisServer) {
    server.command(&["BGSAVE"]);
    wait_for("the snapshot", || {
        info_has(server, "rdb_bgsave_in_progress:0")
    });
    assert!(info_has(server, "rdb_last_bgsave_status:ok"));
}

/// A copy of the append-only files, made as `docs/redis.md` describes.
fn copy_of_aof(server: &RedisServer) -> Backup {
    server.command(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]);
    wait_for("no rewrite", || {
        info_has(server, "aof_rewrite_in_progress:0")
    });
    let backup = Backup::take(server);
    server.command(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "100"]);
    assert_eq!(backup.names(), ["appendonlydir"]);
    backup
}

#[tokio::test]
async fn with_an_append_only_file_a_crash_loses_no_acknowledged_write() {
    let mut server = RedisServer::start_with(&AOF);
    let app = app_on(&server).await;
    let (stays, edits, leaves) = tokio::join!(signed_in(&app), signed_in(&app), signed_in(&app));
    let edit = |session: Session| async move { session.insert("n", 2) };
    assert!(edits.clone().request(edit).await.status.is_success());
    sign_out(&leaves).await;
    let before = server.keys_with_ttl();
    server.kill();
    server.start_again();
    // The sign-out has survived as well: its cookie is invalid.
    let seen = seen_on(&server, &[&stays, &edits, &leaves]).await;
    assert_eq!(seen, [Some(1), Some(2), None]);
    let after = server.keys_with_ttl();
    assert_eq!(after.len(), before.len());
    for (key, ttl) in after {
        let (_, ttl_before) = before.iter().find(|(name, _)| *name == key).unwrap();
        assert!(ttl.is_some() && ttl <= *ttl_before, "{ttl:?}");
    }
    let is_tombstone =
        |(key, _): &(String, _)| server.command(&["GET", key]).text().starts_with("t1 ");
    assert_eq!(before.iter().filter(|key| is_tombstone(key)).count(), 1);
}

#[tokio::test]
async fn a_crash_under_load_loses_no_acknowledged_write() {
    let mut server = RedisServer::start_with(&AOF);
    let store = connect(&server).await;
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut begun = Vec::new();
            loop {
                let (id, record) = session(number);
                match store.create(id, &record, Duration::from_secs(60)).await {
                    Ok(Created::Created) => begun.push((id, record)),
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => break begun,
                }
            }
        });
    }
    while server.command(&["DBSIZE"]).number() < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill();
    let begun: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(begun.len() >= 90, "{}", begun.len());
    server.start_again();
    let store = connect(&server).await;
    for (id, record) in begun {
        assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
    }
}

#[tokio::test]
async fn with_snapshots_only_a_crash_loses_writes_after_the_last_snapshot() {
    let mut server = RedisServer::start();
    let app = app_on(&server).await;
    let (stays, leaves) = tokio::join!(signed_in(&app), signed_in(&app));
    save(&server);
    let comes = signed_in(&app).await;
    sign_out(&leaves).await;
    let browsers = [&stays, &leaves, &comes];
    assert_eq!(seen_on(&server, &browsers).await, [Some(1), None, Some(1)]);
    server.kill();
    server.start_again();
    // The limit of snapshots: later sign-outs are undone, and later sessions are lost.
    assert_eq!(seen_on(&server, &browsers).await, [Some(1), Some(1), None]);
}

#[tokio::test]
async fn a_clean_restart_from_a_snapshot_loses_nothing() {
    let mut server = RedisServer::start();
    let app = app_on(&server).await;
    let (stays, leaves) = tokio::join!(signed_in(&app), signed_in(&app));
    sign_out(&leaves).await;
    server.restart_with_data();
    assert_eq!(seen_on(&server, &[&stays, &leaves]).await, [Some(1), None]);
}

#[tokio::test]
async fn another_server_can_serve_a_copy_of_the_append_only_files() {
    let mut server = RedisServer::start_with(&AOF);
    let app = app_on(&server).await;
    let (stays, leaves) = tokio::join!(signed_in(&app), signed_in(&app));
    sign_out(&leaves).await;
    let backup = copy_of_aof(&server);
    server.kill();
    let mut other = backup.serve(&AOF);
    assert_eq!(seen_on(&other, &[&stays, &leaves]).await, [Some(1), None]);
    // It accepts and keeps writes, too.
    let after = signed_in(&app_on(&other).await).await;
    other.kill();
    other.start_again();
    assert_eq!(seen_on(&other, &[&stays, &after]).await, [Some(1), Some(1)]);
}

#[tokio::test]
async fn a_snapshot_is_restored_before_the_append_only_file_is_enabled() {
    let server = RedisServer::start_with(&AOF);
    let stays = signed_in(&app_on(&server).await).await;
    save(&server);
    // Only the snapshot, as if it was copied to another machine.
    let backup = Backup::take(&server);
    backup.remove("appendonlydir");
    // A pitfall: with an append-only file configured, a server ignores the snapshot.
    let empty = backup.serve(&AOF);
    assert_eq!(seen_on(&empty, &[&stays]).await, [None]);

    let mut restored = backup.serve(&[]);
    assert_eq!(seen_on(&restored, &[&stays]).await, [Some(1)]);
    restored.command(&["CONFIG", "SET", "appendonly", "yes"]);
    eventually("the file", || {
        info_has(&restored, "aof_rewrite_in_progress:0")
            && info_has(&restored, "aof_rewrite_scheduled:0")
    })
    .await;
    let backup = Backup::take(&restored);
    restored.kill();
    backup.remove("dump.rdb");
    let again = backup.serve(&AOF);
    assert_eq!(seen_on(&again, &[&stays]).await, [Some(1)]);
}

#[tokio::test]
async fn a_new_realm_invalidates_sessions_that_an_older_backup_revives() {
    let mut server = RedisServer::start_with(&AOF);
    let app = app_on(&server).await;
    let (stays, leaves, renews) = tokio::join!(signed_in(&app), signed_in(&app), signed_in(&app));
    let backup = copy_of_aof(&server);
    sign_out(&leaves).await;
    // `renews` keeps its old cookie.
    let mut renewed = renews.clone();
    let renew = |session: Session| async move { session.renew() };
    assert!(renewed.request(renew).await.status.is_success());
    let browsers = [&stays, &leaves, &renews, &renewed];
    let before = seen_on(&server, &browsers).await;
    assert_eq!(before, [Some(1), None, None, Some(1)]);
    server.kill();

    // The limit of a backup: sessions that ended after it are live again with their old cookies.
    let restored = backup.serve(&AOF);
    let seen = seen_on(&restored, &browsers).await;
    assert_eq!(seen, [Some(1), Some(1), Some(1), None]);

    // The remedy: with a new realm, no old token is valid, and users sign in again.
    let layer = generous::layer_builder(connect(&restored).await)
        .with_realm("shop, restored once")
        .build()
        .expect("it is valid");
    let renewed_app = tests::app::app(layer);
    for browser in browsers {
        let mut browser = browser.on(renewed_app.clone());
        assert_eq!(browser.read().await, None);
        let begin = |session: Session| async move { session.insert("n", 3) };
        assert!(browser.request(begin).await.status.is_success());
        assert_eq!(browser.read().await, Some(3));
    }
}

#[tokio::test]
async fn a_backup_restores_no_expired_session() {
    let server = RedisServer::start_with(&AOF);
    let store = connect(&server).await;
    let ((short, record), (long, other)) = (session(1), session(2));
    let moment = Duration::from_secs(2);
    store.create(short, &record, moment).await.unwrap();
    store.create(long, &other, moment * 1000).await.unwrap();
    save(&server);
    let backup = Backup::take(&server);
    backup.remove("appendonlydir");
    let aof = Backup::take(&server);
    aof.remove("dump.rdb");
    let there = store.load(short).await.unwrap();
    assert_eq!(
        there,
        Loaded::Record(record),
        "the copies were made before its end"
    );
    eventually("its end", || server.command(&["DBSIZE"]).number() == 1).await;
    for restored in [backup.serve(&[]), aof.serve(&AOF)] {
        let store = connect(&restored).await;
        assert_eq!(store.load(short).await.unwrap(), Loaded::Nothing);
        let kept = store.load(long).await.unwrap();
        assert_eq!(kept, Loaded::Record(other.clone()));
    }
}
