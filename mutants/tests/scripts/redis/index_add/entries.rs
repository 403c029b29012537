use super::{Add, NOW, STALE, add, added, id, score, score_of, sessions, store};
use crate::server::Server;

/// The longest TTL of an index.
const LONGEST: u64 = 400 * 24 * 3600 * 1000 + STALE;

#[test]
fn an_id_is_added_with_the_code_of_its_deadline() {
    let server = Server::start();
    for seconds in [
        0,
        10,
        63,
        64,
        65,
        127,
        128,
        129,
        3600,
        1 << 20,
        (1 << 37) - 1,
        1 << 37,
        1 << 38,
    ] {
        server.command("DEL index");
        let (id, deadline) = (id(NOW, 1), NOW + seconds * 1000);
        let done = add(
            &server,
            Add {
                id: &id,
                deadline,
                ..Add::default()
            },
        );
        assert_eq!(done.reply, added(&[], &[]));
        assert_eq!(
            score_of(&server, &id),
            score(NOW, deadline).to_string(),
            "{seconds}"
        );
    }
    // Rounded up.
    assert_eq!(score(NOW, NOW + 129_000), score(NOW, NOW + 130_000));
}

#[test]
fn without_an_id_none_is_added() {
    let server = Server::start();
    let done = add(&server, Add::default());
    assert_eq!((done.reply, done.sent.len()), (added(&[], &[]), 0));
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let server = Server::start();
    store(&server, &sessions(3));
    let done = add(
        &server,
        Add {
            id: &id(NOW, 1),
            ..Add::default()
        },
    );
    assert_eq!(done.reply, added(&[], &[]));
    assert_eq!(done.sent("ZCARD"), [""; 0]);
    assert_eq!(done.sent("ZRANGEBYSCORE"), [""; 0]);
}

#[test]
fn entries_of_ended_sessions_are_removed() {
    let server = Server::start();
    let members = sessions(3);
    store(&server, &members);
    let removed = [members[0].0.as_str(), members[2].0.as_str()];
    let done = add(
        &server,
        Add {
            removed: &removed,
            ..Add::default()
        },
    );
    assert_eq!(done.reply, added(&[], &[]));
    assert_eq!(
        server.command("ZRANGE index 0 -1"),
        format!("[{}]", members[1].0)
    );
}

#[test]
fn the_later_deadline_counts() {
    let server = Server::start();
    let (id, deadline) = (id(NOW, 1), NOW + 3_600_000);
    let (sooner, later) = (NOW + 1_800_000, NOW + 7_200_000);
    let expected = score(NOW, deadline);
    for (there, then) in [
        (score(NOW, sooner).to_string(), expected),
        (expected.to_string(), expected),
        (score(NOW, later).to_string(), score(NOW, later)),
        // As earlier versions wrote them.
        (sooner.to_string(), expected),
        (later.to_string(), score(NOW, later)),
        ("0".to_owned(), expected),
        // An eviction is withdrawn.
        ("-1".to_owned(), expected),
        (format!("-{NOW}"), expected),
    ] {
        server.command(&format!("ZADD index {there} {id}"));
        let done = add(
            &server,
            Add {
                id: &id,
                deadline,
                ..Add::default()
            },
        );
        assert_eq!(done.reply, added(&[], &[]));
        assert_eq!(score_of(&server, &id), then.to_string(), "{there}");
    }
}

/// The lowest score that is not a deadline.
#[test]
fn a_score_at_the_border_between_the_versions_is_kept() {
    let server = Server::start();
    let created = 100_000_000_000_000 / 2048;
    let id = id(created, 1);
    server.command(&format!("ZADD index 100000000000000 {id}"));
    let deadline = created + 64_000;
    add(
        &server,
        Add {
            id: &id,
            deadline,
            ..Add::default()
        },
    );
    assert_eq!(score_of(&server, &id), "100000000000000");
}

#[test]
fn the_ttl_is_lengthened_and_one_that_is_too_long_shortened() {
    let server = Server::start();
    let deadline = NOW + 3_600_000;
    let keep = 3_600_000 + STALE;
    let longer = LONGEST + 90_000;
    for (before, deadline, after) in [
        (keep - 1, deadline, Some(keep)),
        (keep, deadline, None),
        (keep + 1, deadline, None),
        (LONGEST, deadline, None),
        (LONGEST + 1, deadline, Some(LONGEST)),
        (longer, NOW + longer - STALE, None),
        (longer + 1, NOW + longer - STALE, Some(longer)),
    ] {
        let setup = format!("redis.call('ZADD', KEYS[1], 5, 'x') replies.PTTL = {before}");
        let done = add(
            &server,
            Add {
                id: &id(NOW, 1),
                deadline,
                setup: &setup,
                ..Add::default()
            },
        );
        let expected: Vec<String> = after
            .iter()
            .map(|ttl| format!("PEXPIRE index {ttl}"))
            .collect();
        assert_eq!(done.sent("PEXPIRE"), expected, "{before}");
    }
    server.command("DEL index");
    add(
        &server,
        Add {
            id: &id(NOW, 1),
            ..Add::default()
        },
    );
    assert!(server.lives_for("index", 3_900_000));
}
