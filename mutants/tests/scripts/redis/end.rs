use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/end.lua");
const START_1: &str = "c1 0123456789abcdef ";
const START_2: &str = "c2 0123456789a";
const TOMBSTONE: &str = "t1 0123456789abc- and its reason";
/// The digests of a record in each format: 32 bytes, and the 16 that are kept.
const DIGEST_1: &str = "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE";
const DIGEST_2: &str = "0123456789abcdefghij_Q";

fn record_1(digest: &str, data: &str) -> String {
    format!("{START_1}{}{digest} {data}", "x".repeat(41))
}

fn record_2(digest: &str, data: &str) -> String {
    format!("{START_2}{}{digest} {data}", "x".repeat(16))
}

/// The tombstone with the digest of a session's secret.
fn with_digest(digest: &str) -> String {
    format!("t1 0123456789abc{digest} and its reason")
}

fn end(server: &Server, call: Call<'_>) -> Done {
    server.run(Call {
        script: SCRIPT,
        keys: &["session"],
        ..call
    })
}

const EXPECTED: [&str; 5] = [START_1, TOMBSTONE, "90000", START_2, ""];
const ANY: [&str; 5] = ["", TOMBSTONE, "90000", "", ""];

fn end_expected(server: &Server) -> Done {
    let args = &EXPECTED;
    end(
        server,
        Call {
            args,
            ..Call::default()
        },
    )
}

fn end_any(server: &Server) -> Done {
    let args = &ANY;
    end(
        server,
        Call {
            args,
            ..Call::default()
        },
    )
}

#[test]
fn a_record_of_either_format_is_replaced_with_its_digest() {
    let server = Server::start();
    let extended = format!("{DIGEST_2}{}", "A".repeat(21));
    for run in [end_expected, end_any] {
        server.set("session", &record_1(DIGEST_1, "{}"));
        assert_eq!(run(&server).reply, "1");
        assert_eq!(server.get("session"), with_digest(DIGEST_1));
        assert!(server.lives_for("session", 90_000));

        server.set("session", &record_2(DIGEST_2, "{}"));
        assert_eq!(run(&server).reply, "1");
        assert_eq!(server.get("session"), with_digest(&extended));
    }
}

#[test]
fn another_revision_is_returned_and_stays() {
    let server = Server::start();
    for start in ["c1 0123456789abcdeX ", "c2 0123456789X", "c3 "] {
        server.set("session", start);
        assert_eq!(end_expected(&server).reply, start);
        assert_eq!(server.get("session"), start);
        assert!(server.lives_for("session", 60_000));
    }
}

#[test]
fn a_missing_session_gets_the_tombstone() {
    let server = Server::start();
    for run in [end_expected, end_any] {
        server.command("DEL session");
        assert_eq!(run(&server).reply, "0");
        assert_eq!(server.get("session"), TOMBSTONE);
        assert!(server.lives_for("session", 90_000));
    }
}

#[test]
fn a_tombstone_stays() {
    let server = Server::start();
    for run in [end_expected, end_any] {
        server.set("session", "t1 another one");
        let done = run(&server);
        assert_eq!(done.reply, "t1 another one");
        assert!(done.has_written_nothing());
    }
}

/// Only if it is the one that the caller has seen.
#[test]
fn a_tombstone_that_the_caller_cannot_read_is_replaced() {
    let server = Server::start();
    let unreadable = "t1 in a later format";
    let its_digest = "0880011122d45c4d6521c9c2f2955624780db051";
    for (digest, reply, then) in [
        (its_digest, "1", TOMBSTONE),
        (&its_digest.replace('0', "1"), unreadable, unreadable),
        ("", unreadable, unreadable),
    ] {
        server.set("session", unreadable);
        let args = &["", TOMBSTONE, "90000", "", "", digest];
        let call = Call {
            args,
            ..Call::default()
        };
        assert_eq!(end(&server, call).reply, reply, "{digest}");
        assert_eq!(server.get("session"), then, "{digest}");
    }
}

#[test]
fn the_ttl_of_a_tombstone_is_written_again_for_wait() {
    let server = Server::start();
    for (setup, replies, ttl) in [
        ("store(KEYS[1], 't1 x', 5000)", "", "5000"),
        ("store(KEYS[1], 't1 x', 1)", "", "1"),
        // It expires in this millisecond, or never.
        ("redis.call('SET', KEYS[1], 't1 x')", "PTTL = 0", "90000"),
        ("redis.call('SET', KEYS[1], 't1 x')", "", "90000"),
    ] {
        let args = &[START_1, TOMBSTONE, "90000", START_2, "1"];
        let done = end(
            &server,
            Call {
                setup,
                replies,
                args,
                ..Call::default()
            },
        );
        assert_eq!(done.reply, "t1 x");
        assert_eq!(done.sent("PEXPIRE"), [format!("PEXPIRE session {ttl}")]);
        assert_eq!(done.sent("SET"), [""; 0]);
    }
}

#[test]
fn any_value_is_replaced_if_no_revision_is_expected() {
    let server = Server::start();
    let unknown = [record_1(DIGEST_1, "{}"), record_2(DIGEST_2, "{}")];
    let unknown = unknown.map(|record| record.replace("c1 ", "c3 ").replace("c2 ", "c3 "));
    let values = ["", "something", &unknown[0], &unknown[1]];
    for value in values
        .into_iter()
        .chain([format!("c1 {}", "x".repeat(200)).as_str()])
    {
        server.set("session", value);
        assert_eq!(end_any(&server).reply, "1");
        assert_eq!(server.get("session"), TOMBSTONE);
    }
    server.command("DEL session");
    server.command("HSET session a b");
    assert_eq!(end_any(&server).reply, "1");
    assert_eq!(server.get("session"), TOMBSTONE);
}

#[test]
fn a_key_of_another_type_is_an_error_if_a_revision_is_expected() {
    let server = Server::start();
    server.command("HSET session a b");
    let done = end_expected(&server);
    assert!(done.reply.starts_with("error WRONGTYPE"), "{}", done.reply);
    assert!(done.has_written_nothing());
}

#[test]
fn an_error_of_the_read_is_returned() {
    let server = Server::start();
    for args in [&EXPECTED, &ANY] {
        let replies = "GET = { err = 'NOPERM no right' }";
        let done = end(
            &server,
            Call {
                replies,
                args,
                ..Call::default()
            },
        );
        assert_eq!(done.reply, "error NOPERM no right");
        assert!(done.has_written_nothing());
    }
}

#[test]
fn only_a_proper_digest_of_a_record_with_one_secret_is_copied() {
    let server = Server::start();
    let rotated = r#"{"$rotation":1}"#;
    for record in [
        // A byte that no digest has, and a last digit with bits that no digest has.
        record_1(&DIGEST_1.replace('b', "%"), "{}"),
        record_1(&DIGEST_1.replace("CDE", "CDF"), "{}"),
        record_2(&DIGEST_2.replace('b', "%"), "{}"),
        record_2(&DIGEST_2.replace('Q', "R"), "{}"),
        // Several secrets.
        record_1(DIGEST_1, rotated),
        record_2(DIGEST_2, rotated),
    ] {
        server.set("session", &record);
        assert_eq!(end_expected(&server).reply, "1");
        assert_eq!(server.get("session"), TOMBSTONE, "{record}");
    }
}

#[test]
fn a_tombstone_that_names_digests_keeps_them() {
    let server = Server::start();
    for tombstone in [
        "t1 0123456789abcanother-digest and its reason",
        "t1 0123456789abc- and:several",
        "t1 0123456789abc-and",
    ] {
        for record in [record_1(DIGEST_1, "{}"), record_2(DIGEST_2, "{}")] {
            server.set("session", &record);
            let args = &[START_1, tombstone, "90000", START_2, ""];
            assert_eq!(
                end(
                    &server,
                    Call {
                        args,
                        ..Call::default()
                    }
                )
                .reply,
                "1"
            );
            assert_eq!(server.get("session"), tombstone);
        }
    }
}

#[test]
fn without_memory_a_session_ends_without_a_tombstone() {
    let server = Server::start();
    let (replies, args) = ("SET = { err = 'OOM command not allowed' }", &EXPECTED);
    let call = Call {
        replies,
        args,
        ..Call::default()
    };
    server.set("session", &record_1(DIGEST_1, "{}"));
    assert_eq!(end(&server, call).reply, "1");
    assert_eq!(server.get("session"), "nil");

    let done = end(&server, call);
    assert_eq!(done.reply, "error OOM command not allowed");
    assert_eq!(done.sent("DEL"), [""; 0]);
}

#[test]
fn another_error_of_the_write_is_returned() {
    let server = Server::start();
    let (replies, args) = ("SET = { err = 'READONLY a replica' }", &EXPECTED);
    let record = record_1(DIGEST_1, "{}");
    server.set("session", &record);
    let done = end(
        &server,
        Call {
            replies,
            args,
            ..Call::default()
        },
    );
    assert_eq!(done.reply, "error READONLY a replica");
    assert_eq!(server.get("session"), record);
}
