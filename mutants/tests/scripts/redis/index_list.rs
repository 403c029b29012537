use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/index_list.lua");

fn id(millis: u64) -> String {
    format!("00000000-{millis:04x}-7000-8000-000000000001")
}

/// A server with an index of five ids, of the milliseconds 1 to 5.
fn start() -> Server {
    let server = Server::start();
    for millis in 1..=5 {
        server.command(&format!("ZADD index {} {}", millis * 2048 + 7, id(millis)));
    }
    server
}

fn list(server: &Server, after: &str, length: &str) -> Done {
    server.run(Call {
        script: SCRIPT,
        keys: &["index"],
        args: &[after, length],
        ..Call::default()
    })
}

fn ids(millis: &[u64]) -> String {
    let ids: Vec<String> = millis.iter().map(|&millis| id(millis)).collect();
    format!("[{}]", ids.join(", "))
}

#[test]
fn a_page_ends_before_the_member() {
    let server = start();
    assert_eq!(list(&server, &id(5), "2").reply, ids(&[3, 4]));
    assert_eq!(list(&server, &id(3), "2").reply, ids(&[1, 2]));
    assert_eq!(list(&server, &id(3), "1").reply, ids(&[2]));
}

#[test]
fn the_last_page_is_shorter() {
    let server = start();
    assert_eq!(list(&server, &id(4), "4").reply, ids(&[1, 2, 3]));
    assert_eq!(list(&server, &id(2), "3").reply, ids(&[1]));
    let nothing = list(&server, &id(1), "3");
    assert_eq!(nothing.reply, "[]");
    assert_eq!(nothing.sent("ZRANGE"), [""; 0]);
}

#[test]
fn after_a_member_that_was_removed_the_page_ends_with_its_millisecond() {
    let server = start();
    server.command(&format!("ZREM index {}", id(3)));
    assert_eq!(list(&server, &id(3), "5").reply, ids(&[1, 2]));
    // Another id of the same millisecond, after the one that was removed.
    server.command(&format!("ZADD index {} {}", 3 * 2048 + 2047, id(3)));
    let other = id(3).replace("001", "000");
    assert_eq!(list(&server, &other, "5").reply, ids(&[1, 2, 3]));
    assert_eq!(list(&server, &id(0), "5").reply, "[]");
}

#[test]
fn a_member_that_is_no_id_cannot_be_removed_during_a_list() {
    let server = start();
    let done = list(&server, "something", "5");
    assert!(
        done.reply.starts_with("error ERR a member of the index"),
        "{}",
        done.reply
    );
}

#[test]
fn a_member_that_is_no_id_may_be_followed() {
    let server = start();
    server.command("ZADD index 99999 something");
    assert_eq!(list(&server, "something", "2").reply, ids(&[4, 5]));
}
