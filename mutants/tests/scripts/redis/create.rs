use super::{function, publishing};
use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/create.lua");

fn create(server: &Server, event: &str, replies: &str) -> Done {
    server.run(Call {
        script: &publishing(SCRIPT),
        replies,
        keys: &["session"],
        args: &["the record", "90000", "events", event],
        ..Call::default()
    })
}

#[test]
fn a_session_is_stored_and_its_event_published() {
    let server = Server::start();
    let done = create(&server, "created", "");
    assert_eq!(done.reply, "1");
    assert_eq!(done.sent("PUBLISH"), ["PUBLISH events created"]);
    assert_eq!(server.get("session"), "the record");
    assert!(server.lives_for("session", 90_000));
}

#[test]
fn without_an_event_none_is_published() {
    let server = Server::start();
    let done = create(&server, "", "");
    assert_eq!(done.reply, "2");
    assert_eq!(done.sent("PUBLISH"), [""; 0]);
    assert_eq!(server.get("session"), "the record");
}

#[test]
fn an_event_that_cannot_be_published_is_reported() {
    let server = Server::start();
    let done = create(&server, "created", "PUBLISH = { err = 'NOPERM' }");
    assert_eq!(done.reply, "2");
    assert_eq!(server.get("session"), "the record");
}

#[test]
fn a_stored_session_stays() {
    let server = Server::start();
    server.set("session", "another");
    let done = create(&server, "created", "");
    assert_eq!(done.reply, "0");
    assert_eq!(done.sent("PUBLISH"), [""; 0]);
    assert_eq!(server.get("session"), "another");
    assert!(server.lives_for("session", 60_000));
}

/// In batch.lua, where `true` would not count as 1.
#[test]
fn its_result_is_a_number() {
    let server = Server::start();
    let script = function("create", SCRIPT) + "return type(create(KEYS, ARGV))";
    let done = server.run(Call {
        script: &publishing(&script),
        keys: &["session"],
        args: &["the record", "90000", "events", "created"],
        ..Call::default()
    });
    assert_eq!(done.reply, "number");
}
