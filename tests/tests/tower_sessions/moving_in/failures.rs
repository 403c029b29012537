//! What cannot be read, and what cannot be reached.

use axum::Router;
use cloakroom::Arrivals;
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::moving_in::{Key, TowerSessions};
use tests::log::Log;

use super::apps::{NEW, OLD, after, beside, key, logged_in, new_app, new_keys, old_app, old_keys};
use crate::servers::Redis;
use crate::visitor::Visitor;

const ID: &str = "ym_E7kU3pmZtCkc1hePo1Q";

fn with_old_cookie(app: &Router, value: &str) -> Visitor {
    let mut browser = Visitor::new(app);
    browser.cookies.insert(OLD.into(), value.into());
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
async fn the_frozen_record_moves_in() {
    let redis = Redis::start();
    let hex = "93c410d5e8e38535470a6d66a63745eec46fca82a46b656570cb3fb999999999999aa47365656\
               40099cd0bb7cd0155042c04ce0446bc68000000";
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    put(&redis, &bytes);
    let mut browser = with_old_cookie(&beside(&redis).await, ID);
    browser.text("/who").await;
    let key = new_keys(&redis.0).remove(0);
    let tests::resp::Reply::Bytes(value) = redis.0.command(&["GET", &key]) else {
        panic!("no string");
    };
    let text = String::from_utf8(value).unwrap();
    assert!(text.ends_with(r#","keep":0.1,"seed":0}"#), "{text}");
}

#[tokio::test]
async fn what_is_no_old_cookie_costs_no_command() {
    let redis = Redis::start();
    let store = redis.store().await;
    let plain = TowerSessions::in_redis(&store);
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
        let app = new_app(store.clone(), Arrivals::beside(old, key()));
        // The epoch is known from now on.
        Visitor::new(&app).text("/login/ada").await;
        let monitor = redis.0.monitor();
        for value in &values {
            let mut browser = with_old_cookie(&app, value);
            let answer = browser.get("/who").await;
            assert_eq!((answer.status, &*answer.text), (200, "nobody"), "{value}");
            assert!(answer.set_cookies.is_empty());
        }
        let seen = monitor.commands();
        let reads = seen
            .iter()
            .filter(|words| words[0].eq_ignore_ascii_case("GET"));
        assert_eq!(reads.count(), 0, "{seen:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_in_is_no_session_is_told_once_and_left() {
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
            let app = match last {
                false => beside(&redis).await,
                true => after(&redis).await,
            };
            let log = Log::keep();
            for _ in 0..2 {
                let mut browser = with_old_cookie(&app, ID);
                let answer = browser.get("/who").await;
                assert_eq!((answer.status, &*answer.text), (200, "nobody"), "{reason}");
                assert!(answer.set_cookies.is_empty(), "{reason}: {answer:?}");
            }
            let told = log.text();
            assert_eq!(
                told.matches("legacy session cannot be migrated").count(),
                1,
                "{told}"
            );
            assert!(told.contains(reason) && !told.contains(ID), "{told}");
            assert_eq!(old_keys(&redis.0), [ID]);
            assert!(new_keys(&redis.0).is_empty());
        }
    }
}

#[tokio::test]
async fn an_old_entry_cannot_pass_for_one_of_the_librarys() {
    let redis = Redis::start();
    // {"$user": "…", "cart": "hat"}
    let mut entries = vec![0x82, 0xa5];
    entries.extend(b"$user\x82\xa4user\xa3eve\xa2at\x00");
    entries.extend(b"\xa4cart\xa3hat");
    put(&redis, &record(&entries, LATER));
    let mut browser = with_old_cookie(&beside(&redis).await, ID);
    assert_eq!(browser.text("/get/cart").await, "hat");
    assert_eq!(browser.text("/user").await, "");
}

/// Two stores: the new sessions' own is well.
#[tokio::test]
async fn without_the_old_store_nobody_is_taken_for_a_stranger() {
    for last in [false, true] {
        let (mut there, here) = (Redis::start(), Redis::start());
        let old = old_app(&there).await;
        let (moved, waiting) = (logged_in(&old).await, logged_in(&old).await);
        let old_store = RedisStore::connect(&there.url()).await.unwrap();
        let predecessor = TowerSessions::in_redis(&old_store);
        let arrivals = match last {
            false => Arrivals::beside(predecessor, key()),
            true => Arrivals::after(predecessor, key()),
        };
        let new = new_app(here.store().await, arrivals);
        let mut moved = moved.at(&new);
        assert_eq!(moved.text("/who").await, "ada");
        there.0.kill();
        // Not moved yet: it may be signed in, or not.
        let answer = waiting.at(&new).get("/who").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.set_cookies.is_empty());
        // Moved: only in the first phase the old one decides.
        let answer = moved.get("/who").await;
        let expected = if last { 200 } else { 503 };
        assert_eq!(answer.status, expected, "{answer:?}");
        let answer = moved.get("/logout").await;
        assert_eq!(answer.status, expected, "{answer:?}");
        assert_eq!(moved.cookies.contains_key(NEW), !last);
        // Nothing old: nothing is asked.
        assert_eq!(Visitor::new(&new).text("/who").await, "nobody");
        assert_eq!(with_old_cookie(&new, "x").text("/who").await, "nobody");
    }
}

#[tokio::test]
async fn a_log_out_or_log_in_that_cannot_end_the_old_session_is_not_answered_with_success() {
    for path in ["/logout", "/renew"] {
        let (there, here) = (Redis::start(), Redis::start());
        let browser = logged_in(&old_app(&there).await).await;
        let old_store = RedisStore::connect(&there.url()).await.unwrap();
        let old = TowerSessions::in_redis(&old_store);
        let new = new_app(here.store().await, Arrivals::beside(old, key()));
        let mut at_new = browser.at(&new);
        assert_eq!(at_new.text("/who").await, "ada");
        // It can be read, and not be removed.
        there.0.command(&["ACL", "SETUSER", "default", "-del"]);
        let answer = at_new.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert!(answer.set_cookies.is_empty(), "{path}: {answer:?}");
        assert_eq!(old_keys(&there.0).len(), 1);
        there.0.command(&["ACL", "SETUSER", "default", "+del"]);
        match path {
            // It had not begun, and can be tried again.
            "/logout" => {
                assert_eq!(at_new.text("/logout").await, "Ended");
                assert!(old_keys(&there.0).is_empty());
            }
            // What was to be renewed has ended, and so does where it came from.
            _ => {
                assert_eq!(at_new.text("/who").await, "nobody");
                assert!(old_keys(&there.0).is_empty());
            }
        }
    }
}
