use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/index_put.lua");
const SCORE: &str = "3000000000000000";
/// The longest TTL of an index: 400 days and 5 minutes.
const LONGEST: u64 = (400 * 24 * 3600 + 300) * 1000;

fn put(server: &Server, setup: &str, keep: &str) -> Done {
    server.run(Call {
        script: SCRIPT,
        setup,
        keys: &["index"],
        args: &[SCORE, "id", keep],
        ..Call::default()
    })
}

#[test]
fn an_id_is_added_and_the_index_kept() {
    let server = Server::start();
    assert_eq!(put(&server, "", "90000").reply, "1");
    assert_eq!(server.command("ZSCORE index id"), SCORE);
    assert!(server.lives_for("index", 90_000));
}

#[test]
fn the_later_deadline_counts_and_an_eviction_is_withdrawn() {
    let server = Server::start();
    for (there, then, writes) in [
        ("-1", SCORE, 1),
        ("-1700000000000", SCORE, 1),
        ("100000000000000", SCORE, 1),
        ("2999999999999999", SCORE, 1),
        (SCORE, SCORE, 0),
        ("3000000000000001", "3000000000000001", 0),
    ] {
        server.command(&format!("ZADD index {there} id"));
        let done = put(&server, "", "90000");
        assert_eq!(done.reply, "1", "{there}");
        assert_eq!(server.command("ZSCORE index id"), then, "{there}");
        assert_eq!(done.sent("ZADD").len(), 1 + writes, "{there}");
    }
}

#[test]
fn a_score_of_an_earlier_version_is_left_to_index_add() {
    let server = Server::start();
    for there in ["0", "1", "99999999999999"] {
        server.command(&format!("ZADD index {there} id"));
        assert_eq!(put(&server, "", "90000").reply, "3");
        assert_eq!(server.command("ZSCORE index id"), there);
        assert_eq!(server.command("PTTL index"), "-1");
    }
}

/// Servers before Redis 7.0 do not have the conditions of `PEXPIRE`.
#[test]
fn an_old_server_lengthens_the_ttl_and_shortens_one_that_is_too_long() {
    let server = Server::start();
    let longer = LONGEST + 90_000;
    for (before, keep, after) in [
        (Some(89_999), 90_000, Some(90_000)),
        (Some(90_000), 90_000, None),
        (Some(90_001), 90_000, None),
        (Some(LONGEST), 90_000, None),
        (Some(LONGEST + 1), 90_000, Some(LONGEST)),
        (None, 90_000, Some(90_000)),
        // A session that lives longer than all others.
        (Some(longer), longer, None),
        (Some(longer + 1), longer, Some(longer)),
    ] {
        let setup = match before {
            Some(ttl) => format!("redis.call('ZADD', KEYS[1], 5, 'x') replies.PTTL = {ttl}"),
            None => "redis.call('ZADD', KEYS[1], 5, 'x') redis.call('PERSIST', KEYS[1])".to_owned(),
        };
        let setup = format!("acl_check_cmd = nil {setup}");
        let done = put(&server, &setup, &keep.to_string());
        let expected: Vec<String> = after
            .iter()
            .map(|ttl| format!("PEXPIRE index {ttl}"))
            .collect();
        assert_eq!(done.sent("PEXPIRE"), expected, "{before:?} {keep}");
    }
}

/// The TTL is only asked for if it may be too long.
#[test]
fn the_ttl_is_lengthened_and_one_that_is_too_long_shortened() {
    let server = Server::start();
    let (first, second) = ("PEXPIRE index 90000 NX", "PEXPIRE index 90000 GT");
    let shorten = format!("PEXPIRE index {LONGEST}");
    for (before, sent, after) in [
        (None, vec![first], 90_000),
        (Some(60_000), vec![first, second], 90_000),
        (Some(120_000), vec![first, second, "PTTL index"], 120_000),
        (
            Some(LONGEST + 60_000),
            vec![first, second, "PTTL index", &shorten],
            LONGEST,
        ),
    ] {
        server.command("DEL index");
        server.command("ZADD index 5 x");
        if let Some(ttl) = before {
            server.command(&format!("PEXPIRE index {ttl}"));
        }
        let done = put(&server, "", "90000");
        assert_eq!(done.reply, "1");
        let about_ttl = done.sent.iter().filter(|sent| !sent.starts_with("ZADD"));
        assert_eq!(about_ttl.collect::<Vec<_>>(), sent, "{before:?}");
        let after = i64::try_from(after).expect("it is small");
        assert!(server.lives_for("index", after), "{before:?}");
    }
}
