use super::index_add::SCRIPT as INDEX_ADD;
use super::{function, publishing};
use crate::server::{Call, Done, Server};

const SCRIPT: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/create_for_user.lua");
/// An id that does not look for stale entries.
const ID: &str = "018bcfe5-6800-7000-8000-000000000001";
const NOW: &str = "1700000000000";
const DEADLINE: &str = "1700003600000";
const EXISTING: &str = "018bcfe5-67ff-7000-8000-000000000001";

/// Creates a session of a user who may have two.
fn create(server: &Server, evicts: &str, event: &str, replies: &str) -> Done {
    run(server, INDEX_ADD, evicts, &["gone"], event, replies)
}

fn run(
    server: &Server,
    index_add: &str,
    evicts: &str,
    removed: &[&str],
    event: &str,
    replies: &str,
) -> Done {
    let count = removed.len().to_string();
    let mut args = vec![
        NOW, ID, DEADLINE, "2", evicts, "", "300000", "10000", &count,
    ];
    args.extend(removed);
    args.extend(["the record", "90000", "events", event]);
    server.run(Call {
        script: &publishing(&(function("index_add", index_add) + SCRIPT)),
        replies,
        keys: &["index", "session"],
        args: &args,
        ..Call::default()
    })
}

#[test]
fn a_session_is_indexed_stored_and_published() {
    let server = Server::start();
    let done = create(&server, "1", "created", "");
    assert_eq!(done.reply, "1");
    assert_eq!(server.command("ZRANGE index 0 -1"), format!("[{ID}]"));
    assert_eq!(server.get("session"), "the record");
    assert!(server.lives_for("session", 90_000));
    assert_eq!(done.sent("PUBLISH"), ["PUBLISH events created"]);
}

#[test]
fn what_was_not_published_is_reported() {
    let server = Server::start();
    let done = create(&server, "1", "", "");
    assert_eq!(done.reply, "[1, [], [], 1, 0]");
    assert_eq!(done.sent("PUBLISH"), [""; 0]);
    server.command("DEL index session");
    let done = create(&server, "1", "created", "PUBLISH = { err = 'NOPERM' }");
    assert_eq!(done.reply, "[1, [], [], 1, 0]");
    assert_eq!(server.get("session"), "the record");
}

#[test]
fn a_stored_session_stays() {
    let server = Server::start();
    server.set("session", "another");
    let done = create(&server, "1", "created", "");
    assert_eq!(done.reply, "[1, [], [], 0, 0]");
    assert_eq!(done.sent("PUBLISH"), [""; 0]);
    assert_eq!(server.get("session"), "another");
}

#[test]
fn nothing_is_stored_in_a_full_index_or_before_others_are_ended() {
    let server = Server::start();
    let score = 1_699_999_999_999_u64 * 2048;
    for (evicts, reply) in [
        ("0", format!("[0, [{EXISTING}, other]]")),
        ("1", format!("[1, [{EXISTING}], []]")),
    ] {
        server.command(&format!("ZADD index {score} {EXISTING} {score} other"));
        let done = create(&server, evicts, "created", "");
        assert_eq!(done.reply, reply);
        assert_eq!(server.get("session"), "nil");
        assert_eq!(done.sent("PUBLISH"), [""; 0]);
    }
}

/// With a reply of `index_add.lua` in place of its text.
#[test]
fn old_ids_to_check_are_returned_with_what_was_done() {
    let server = Server::start();
    let old = "return { 1, {}, { 'old' } }\n";
    let done = run(&server, old, "1", &[], "created", "");
    assert_eq!(done.reply, "[1, [], [old], 1, 1]");
    // Without room there is nothing to store, whatever the list of ids is.
    let full = "return { 0, {}, {} }\n";
    server.command("DEL session");
    assert_eq!(
        run(&server, full, "1", &[], "created", "").reply,
        "[0, [], []]"
    );
    assert_eq!(server.get("session"), "nil");
    // One id to end first.
    let evicted = "return { 1, { 'oldest' }, {} }\n";
    server.command("DEL session");
    assert_eq!(
        run(&server, evicted, "1", &[], "created", "").reply,
        "[1, [oldest], []]"
    );
    assert_eq!(server.get("session"), "nil");
}

/// In batch.lua, where `true` would not count as 1.
#[test]
fn its_result_is_a_number() {
    let server = Server::start();
    let script = [
        function("index_add", "return { 1, {}, {} }\n"),
        function("create_for_user", SCRIPT),
        "return type(create_for_user(KEYS, ARGV))".to_owned(),
    ];
    let mut args = [""; 13];
    args[8] = "0";
    args[9] = "the record";
    args[10] = "90000";
    args[11] = "events";
    args[12] = "created";
    let done = server.run(Call {
        script: &publishing(&script.concat()),
        keys: &["index", "session"],
        args: &args,
        ..Call::default()
    });
    assert_eq!(done.reply, "number");
}
