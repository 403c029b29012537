//! Warnings about snapshots and the append-only file.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use cloakroom_core::{Store, StoreErrorKind};
use cloakroom_redis::Warning;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::wait::eventually;

use super::{HEALTHY, check, info, set, store, warnings};

#[tokio::test]
async fn missing_persistence_is_a_warning() {
    let server = RedisServer::start();
    assert_eq!(warnings(&server).await, [Warning::NotPersisted]);
    server.command(&["BGSAVE"]);
    eventually("the snapshot", || {
        info(&server, "rdb_bgsave_in_progress") == "0"
    })
    .await;
    assert_eq!(warnings(&server).await, []);
    let server = RedisServer::start();
    set(&server, "appendonly", "yes");
    assert_eq!(warnings(&server).await, []);
}

#[tokio::test]
async fn a_snapshot_is_known_after_the_counters_are_reset() {
    let server = RedisServer::start();
    let store = store(&server).await;
    assert_eq!(check(&store).await.last_save_age(), None);
    // The server reports times in whole seconds, and counts its start as a save.
    eventually("a later second", || {
        info(&server, "uptime_in_seconds")
            .parse()
            .is_ok_and(|up: u64| up > 4)
    })
    .await;
    server.command(&["BGSAVE"]);
    eventually("the snapshot", || {
        info(&server, "rdb_bgsave_in_progress") == "0"
    })
    .await;
    server.command(&["CONFIG", "RESETSTAT"]);
    assert_eq!(info(&server, "rdb_saves"), "0");
    let health = check(&store).await;
    assert_eq!(health.warnings(), []);
    assert!(health.has_saved());
    assert!(health.last_save_age() < Some(Duration::from_secs(60)));
    eventually("its age", || {
        let saved: u64 = info(&server, "rdb_last_save_time").parse().unwrap();
        let now: u64 = info(&server, "server_time_usec").parse().unwrap();
        now / 1_000_000 > saved + 2
    })
    .await;
    assert!(check(&store).await.last_save_age() >= Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn a_failed_snapshot_is_a_warning() {
    let server = RedisServer::start_with(&HEALTHY);
    // A snapshot cannot be written to a missing folder.
    fs::remove_dir_all(server.folder()).unwrap();
    server.command(&["BGSAVE"]);
    eventually("the failure", || {
        info(&server, "rdb_last_bgsave_status") == "err"
    })
    .await;
    let health = check(&store(&server).await).await;
    assert_eq!(health.warnings(), [Warning::SnapshotFailed]);
    assert!(!health.is_last_save_ok());
    // Redis counts the failed snapshot as a save.
    assert_ne!(info(&server, "rdb_saves"), "0");
    assert!(!health.has_saved());
    set(&server, "appendonly", "no");
    let expected = [Warning::NotPersisted, Warning::SnapshotFailed];
    assert_eq!(warnings(&server).await, expected);
}

#[tokio::test]
async fn a_failing_append_only_file_is_a_warning() {
    let mut server = RedisServer::start_with(&HEALTHY);
    server.kill();
    // Replaces the append-only file by a full disk.
    let files = fs::read_dir(server.folder().join("appendonlydir")).unwrap();
    let file = files
        .map(|file| file.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .expect("it has one");
    fs::remove_file(&file).unwrap();
    symlink("/dev/full", &file).unwrap();
    server.restart();
    let store = store(&server).await;
    let (id, record) = session(1);
    // The reply may precede the failed write, so it is ignored.
    drop(store.create(id, &record, MINUTE).await);
    eventually("the failure", || {
        info(&server, "aof_last_write_status") == "err"
    })
    .await;
    let health = check(&store).await;
    assert_eq!(health.warnings(), [Warning::AofFailed]);
    assert!(!health.is_last_aof_write_ok());
    let (other, _) = session(2);
    let refused = store.create(other, &record, MINUTE).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
}
