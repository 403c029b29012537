use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/touch.lua");
const START_1: &str = "c1 0123456789abcdef ";
const START_2: &str = "c2 0123456789a";
/// The last-seen that the tests write.
const NOW: u64 = 1_700_000_000_000;

/// The digits of format 2, whose order is that of ASCII.
fn digits(mut number: u64) -> String {
    const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'-'; 8];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number % 64).expect("it is small")];
        number /= 64;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

fn record_1(seen: u64) -> String {
    format!("{START_1}{seen:012x}{}{{}}", "x".repeat(73))
}

fn record_2(seen: u64) -> String {
    format!("{START_2}{}{} user {{}}", digits(seen), "x".repeat(30))
}

fn touch(server: &Server, replies: &str) -> Done {
    server.run(Call {
        script: SCRIPT,
        replies,
        keys: &["session"],
        args: &[
            START_1,
            &format!("{NOW:012x}"),
            "90000",
            START_2,
            &digits(NOW),
        ],
        ..Call::default()
    })
}

#[test]
fn last_seen_and_the_ttl_of_either_format_are_set() {
    let server = Server::start();
    for record in [record_1, record_2] {
        server.set("session", &record(NOW - 1));
        assert_eq!(touch(&server, "").reply, "1");
        assert_eq!(server.get("session"), record(NOW));
        assert!(server.lives_for("session", 90_000));
    }
}

#[test]
fn a_later_last_seen_stays_unless_it_is_from_a_wrong_clock() {
    let server = Server::start();
    for record in [record_1, record_2] {
        for (before, after) in [
            (NOW + 1, NOW + 1),
            (NOW + 5000, NOW + 5000),
            (NOW + 5001, NOW),
            // Later by a digit of each place.
            (NOW + (1 << 20), NOW),
            (NOW - (1 << 40), NOW),
        ] {
            server.set("session", &record(before));
            assert_eq!(touch(&server, "").reply, "1");
            assert_eq!(server.get("session"), record(after), "{before}");
            assert!(server.lives_for("session", 90_000));
        }
    }
}

#[test]
fn the_same_last_seen_is_not_written_again() {
    let server = Server::start();
    for record in [record_1, record_2] {
        server.set("session", &record(NOW));
        let done = touch(&server, "");
        assert_eq!((done.reply.as_str(), done.sent("SETRANGE").len()), ("1", 0));
        assert!(server.lives_for("session", 90_000));
    }
}

#[test]
fn something_else_stays_as_it_is() {
    let server = Server::start();
    let unseen_2 = format!("{START_2}1234 678{} user {{}}", "x".repeat(30));
    for other in [
        // Another revision.
        record_1(NOW - 1).replace("abcdef", "abcdeX"),
        record_2(NOW - 1).replace("789a", "789X"),
        // No data where they begin.
        record_1(NOW - 1).replace('{', "["),
        record_2(NOW - 1).replace('{', "["),
        // Not digits of format 2.
        unseen_2,
        "t1 a tombstone".to_owned(),
    ] {
        server.set("session", &other);
        assert_eq!(touch(&server, "").reply, "0");
        assert_eq!(server.get("session"), other);
        assert!(server.lives_for("session", 60_000));
    }
    server.command("DEL session");
    assert_eq!(touch(&server, "").reply, "0");
    assert_eq!(server.get("session"), "nil");
}

#[test]
fn a_record_of_format_2_may_have_no_user() {
    let server = Server::start();
    let record = |seen| format!("{START_2}{}{} {{}}", digits(seen), "x".repeat(30));
    server.set("session", &record(NOW - 1));
    assert_eq!(touch(&server, "").reply, "1");
    assert_eq!(server.get("session"), record(NOW));
}

#[test]
fn without_memory_the_session_is_kept_alive() {
    let server = Server::start();
    let old = record_1(NOW - 1);
    server.set("session", &old);
    let done = touch(&server, "SETRANGE = { err = 'OOM command not allowed' }");
    assert_eq!(done.reply, "1");
    assert_eq!(server.get("session"), old);
    assert!(server.lives_for("session", 90_000));
}

#[test]
fn another_error_is_returned() {
    let server = Server::start();
    server.set("session", &record_1(NOW - 1));
    let done = touch(&server, "SETRANGE = { err = 'READONLY a replica' }");
    assert_eq!(done.reply, "error READONLY a replica");
    assert!(server.lives_for("session", 60_000));
}
