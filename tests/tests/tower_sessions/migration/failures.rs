//! Records that cannot be read, and stores that cannot be reached.

use axum::Router;
use cloakroom::Migration;
use cloakroom_tower_sessions::migration::{Key, TowerSessionsRedis};
use tests::generous;
use tests::log::Log;

use super::apps::{
    LEGACY, NEW, cutover, key, legacy_app, legacy_keys, new_app, new_keys, side_by_side, signed_in,
};
use crate::browser::Browser;
use crate::servers::Redis;

const ID: &str = "ym_E7kU3pmZtCkc1hePo1Q";

fn with_old_cookie(app: &Router, value: &str) -> Browser {
    let mut browser = Browser::new(app);
    browser.cookies.insert(LEGACY.into(), value.into());
    browser
}

/// The record of the fixture with other entries, as `MessagePack`.
fn record(entries: &[u8], year: [u8; 2]) -> Vec<u8> {
    let mut bytes = vec![0x93, 0xc4, 16];
    bytes.extend([7; 16]);
    bytes.extend(entries);
    bytes.extend([0x99, 0xcd, year[0], year[1], 1, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

const LATER: [u8; 2] = 2999_u16.to_be_bytes();

fn put(redis: &Redis, value: &[u8]) {
    let set: [&[u8]; 5] = [b"SET", ID.as_bytes(), value, b"EX", b"1000"];
    redis.0.command(&set);
}

#[tokio::test]
async fn a_stored_sample_record_migrates() {
    let redis = Redis::start();
    let hex = "93c410d5e8e38535470a6d66a63745eec46fca82a46b656570cb3fb999999999999aa47365656\
               40099cd0bb7cd0155042c04ce0446bc68000000";
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    put(&redis, &bytes);
    let mut browser = with_old_cookie(&side_by_side(&redis).await, ID);
    browser.text("/who").await;
    let key = new_keys(&redis.0).remove(0);
    let tests::resp::Reply::Bytes(value) = redis.0.command(&["GET", &key]) else {
        panic!("no string");
    };
    let text = String::from_utf8(value).unwrap();
    assert!(text.ends_with(r#","keep":0.1,"seed":0}"#), "{text}");
}

#[tokio::test]
async fn malformed_legacy_cookies_cost_no_command() {
    let redis = Redis::start();
    let store = redis.store().await;
    let plain = TowerSessionsRedis::new(&store);
    let signed = plain.clone().signed(Key::generate());
    let private = plain.clone().private(Key::generate());
    let values = [
        String::new(),
        "x".into(),
        ID[1..].into(),
        format!("{ID}="),
        format!("{}R", &ID[..21]),
        format!("{}{ID}", "A".repeat(44)),
        "A".repeat(68),
        "A".repeat(5000),
        "%20".repeat(22),
    ];
    for old in [plain, signed, private] {
        let app = new_app(store.clone(), Migration::side_by_side(old, key()));
        // So that the revocation time is cached.
        Browser::new(&app).text("/login/ada").await;
        let monitor = redis.0.monitor();
        for value in &values {
            let mut browser = with_old_cookie(&app, value);
            let response = browser.get("/who").await;
            assert_eq!(
                (response.status, &*response.text),
                (200, "nobody"),
                "{value}"
            );
            assert!(response.set_cookies.is_empty());
        }
        let seen = monitor.commands();
        let reads = seen
            .iter()
            .filter(|words| words[0].eq_ignore_ascii_case("GET"));
        assert_eq!(reads.count(), 0, "{seen:?}");
    }
}

#[tokio::test]
async fn an_unmigratable_record_is_logged_once_and_left_unchanged() {
    let text = |length: u16| {
        let mut bytes = vec![0x81, 0xa1, b'a', 0xda];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![b'x'; length.into()]);
        bytes
    };
    let cases: [(&str, Vec<u8>); 5] = [
        ("unreadable", b"no record".to_vec()),
        ("unreadable", vec![0x91; 4096]),
        ("unreadable", Vec::new()),
        ("too_large", record(&text(65_500), LATER)),
        ("expired", record(&[0x80], 1999_u16.to_be_bytes())),
    ];
    for last in [false, true] {
        for (reason, value) in &cases {
            let redis = Redis::start();
            put(&redis, value);
            let app = if last {
                cutover(&redis).await
            } else {
                side_by_side(&redis).await
            };
            let log = Log::capture();
            for _ in 0..2 {
                let mut browser = with_old_cookie(&app, ID);
                let response = browser.get("/who").await;
                assert_eq!(
                    (response.status, &*response.text),
                    (200, "nobody"),
                    "{reason}"
                );
                assert!(response.set_cookies.is_empty(), "{reason}: {response:?}");
            }
            let logged = log.text();
            assert_eq!(
                logged.matches("legacy session cannot be migrated").count(),
                1,
                "{logged}"
            );
            assert!(logged.contains(reason) && !logged.contains(ID), "{logged}");
            assert_eq!(legacy_keys(&redis.0), [ID]);
            assert!(new_keys(&redis.0).is_empty());
        }
    }
}

#[tokio::test]
async fn a_legacy_entry_cannot_set_a_reserved_key() {
    let redis = Redis::start();
    // {"$user": "…", "cart": "hat"}
    let mut entries = vec![0x82, 0xa5];
    entries.extend(b"$user\x82\xa4user\xa3eve\xa2at\x00");
    entries.extend(b"\xa4cart\xa3hat");
    put(&redis, &record(&entries, LATER));
    let mut browser = with_old_cookie(&side_by_side(&redis).await, ID);
    assert_eq!(browser.text("/get/cart").await, "hat");
    assert_eq!(browser.text("/user").await, "");
}

/// There are two stores, and only the legacy one is down.
#[tokio::test]
async fn without_the_legacy_store_requests_fail_instead_of_being_anonymous() {
    for last in [false, true] {
        let (mut there, here) = (Redis::start(), Redis::start());
        let old = legacy_app(&there).await;
        let (moved, waiting) = (signed_in(&old).await, signed_in(&old).await);
        let old_store = generous::connect(&there.url(), "cloakroom").await.unwrap();
        let legacy_store = TowerSessionsRedis::new(&old_store);
        let migration = if last {
            Migration::cutover(legacy_store, key())
        } else {
            Migration::side_by_side(legacy_store, key())
        };
        let new = new_app(here.store().await, migration);
        let mut moved = moved.at(&new);
        assert_eq!(moved.text("/who").await, "ada");
        there.0.kill();
        // Not migrated yet: whether it is signed in is unknown.
        let response = waiting.at(&new).get("/who").await;
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.set_cookies.is_empty());
        // Migrated: only side by side the legacy session is needed.
        let response = moved.get("/who").await;
        let expected = if last { 200 } else { 503 };
        assert_eq!(response.status, expected, "{response:?}");
        let response = moved.get("/logout").await;
        assert_eq!(response.status, expected, "{response:?}");
        assert_eq!(moved.cookies.contains_key(NEW), !last);
        // Without a valid legacy cookie, the legacy store is not read.
        assert_eq!(Browser::new(&new).text("/who").await, "nobody");
        assert_eq!(with_old_cookie(&new, "x").text("/who").await, "nobody");
    }
}

#[tokio::test]
async fn a_failure_to_end_the_legacy_session_is_an_error_response() {
    for path in ["/logout", "/renew"] {
        let (there, here) = (Redis::start(), Redis::start());
        let browser = signed_in(&legacy_app(&there).await).await;
        let old_store = generous::connect(&there.url(), "cloakroom").await.unwrap();
        let old = TowerSessionsRedis::new(&old_store);
        let new = new_app(here.store().await, Migration::side_by_side(old, key()));
        let mut on_new = browser.at(&new);
        assert_eq!(on_new.text("/who").await, "ada");
        // The legacy record can be read, but not deleted.
        there.0.command(&["ACL", "SETUSER", "default", "-del"]);
        let response = on_new.get(path).await;
        // It stays so until someone grants the right.
        assert_eq!(response.status, 500, "{path}: {response:?}");
        assert!(response.set_cookies.is_empty(), "{path}: {response:?}");
        assert_eq!(legacy_keys(&there.0).len(), 1);
        there.0.command(&["ACL", "SETUSER", "default", "+del"]);
        match path {
            // The sign-out has changed nothing, and can be retried.
            "/logout" => {
                assert_eq!(on_new.text("/logout").await, "Ended");
                assert!(legacy_keys(&there.0).is_empty());
            }
            // The session to be renewed has ended, and its legacy session ends with it.
            _ => {
                assert_eq!(on_new.text("/who").await, "nobody");
                assert!(legacy_keys(&there.0).is_empty());
            }
        }
    }
}
