//! A server that is killed at any moment leaves no live session outside its user's index.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cloakroom::{CookieConfig, SessionId, Store, UserId, minutes};
use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, ManualClock, Realm, UserIndex, UserKey};
use cloakroom_redis::RedisStore;
use tests::generous;
use tests::redis::RedisServer;

use super::eventually;

/// The total number of kills.
const KILLS: u64 = 1000;

/// The number of threads that start and kill servers.
const LANES: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_leaves_no_session_outside_the_index() {
    let redis = RedisServer::start();
    let url = redis.url();
    for part in 0..4 {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let url = url.clone();
                let rounds = KILLS / LANES / 4;
                thread::spawn(move || {
                    for round in 0..rounds {
                        start_and_kill(&url, (part * LANES + lane) * rounds + round);
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.join().expect("it was started and killed");
        }
        check(&redis).await;
    }
    check_that_orphaned_entries_are_removed(&redis).await;
}

/// Kills a server within its first thirty milliseconds of work; every eighth within its first three hundred, since on a
/// busy machine the others may not have begun.
fn start_and_kill(url: &str, seed: u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sign_in_load"))
        .args([url, &seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut begun = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut begun)
        .expect("it prints a line");
    assert_eq!(begun, "begun\n");
    let most = if seed.is_multiple_of(8) {
        300_000
    } else {
        30_000
    };
    thread::sleep(Duration::from_micros(seed.wrapping_mul(7919) % most));
    child.kill().expect("the server is running");
    child.wait().expect("it ends");
}

/// The live sessions of all users.
async fn live(store: &RedisStore) -> HashMap<UserId, Vec<SessionId>> {
    let admin = store.admin().expect("it has store-wide operations");
    let mut live: HashMap<UserId, Vec<SessionId>> = HashMap::new();
    for id in tests::records::all_ids(&admin).await {
        if let Loaded::Record(record) = store.load(id).await.expect("the store responds")
            && let Some(user) = Authentication::of(record.entries())
        {
            live.entry(user.user().clone()).or_default().push(id);
        }
    }
    live
}

async fn entered(store: &RedisStore, user: &UserId) -> Vec<SessionId> {
    let key = UserKey::new(&Realm::new(CookieConfig::DEFAULT_NAME), user);
    let index = store.index().expect("it has an index");
    index.list(&key, None).await.expect("the index responds")
}

async fn check(redis: &RedisServer) {
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let live = live(&store).await;
    assert!(!live.is_empty(), "sessions were created");
    for (user, ids) in live {
        let entered = entered(&store, &user).await;
        for id in ids {
            assert!(
                entered.contains(&id),
                "{id} of {user} is outside of the index"
            );
        }
    }
    for (key, ttl) in redis.keys_with_ttl() {
        assert!(ttl.is_some(), "{key} has no TTL");
    }
}

/// Old entries without a session are removed.
async fn check_that_orphaned_entries_are_removed(redis: &RedisServer) {
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let clock = ManualClock::default();
    clock.advance(minutes(6));
    let layer = generous::layer_builder(store.clone())
        .with_clock(clock)
        .build()
        .expect("it is valid");
    let sessions = layer.sessions();
    for number in 0..5 {
        let user = UserId::from(format!("user {number}"));
        let alive = sessions
            .list(&user)
            .await
            .expect("the store responds")
            .len();
        let tidy = async || entered(&store, &user).await.len() == alive;
        eventually("the index holds the live sessions and no more", tidy).await;
    }
}
