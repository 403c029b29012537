use super::{Add, LEASE, NOW, add, added, id, score, score_of, sessions, store};
use crate::server::{Done, Server};

fn marked(server: &Server, member: &str) -> bool {
    score_of(server, member) == format!("-{NOW}")
}

/// The ids of members.
fn ids(members: &[(String, i64)]) -> Vec<&str> {
    members.iter().map(|(id, _)| id.as_str()).collect()
}

/// Adds a new id with a limit that evicts.
fn evict(server: &Server, limit: u32) -> Done {
    add(
        server,
        Add {
            id: &id(NOW, 1),
            limit,
            ..Add::default()
        },
    )
}

/// The same with a limit that rejects.
pub(super) fn reject(server: &Server, limit: u32, replies: &str) -> Done {
    let id = id(NOW, 1);
    let evicts = false;
    add(
        server,
        Add {
            id: &id,
            limit,
            evicts,
            replies,
            ..Add::default()
        },
    )
}

#[test]
fn below_the_limit_entries_are_not_counted() {
    let server = Server::start();
    store(&server, &sessions(2));
    let done = evict(&server, 3);
    assert_eq!(done.reply, added(&[], &[]));
    assert_eq!(done.sent("ZCOUNT"), [""; 0]);
    assert_eq!(
        score_of(&server, &id(NOW, 1)),
        score(NOW, NOW + 3_600_000).to_string()
    );
}

#[test]
fn the_oldest_make_room() {
    let server = Server::start();
    let members = sessions(4);
    store(&server, &members);
    let done = evict(&server, 3);
    assert_eq!(done.reply, added(&ids(&members[..2]), &[]));
    assert!(marked(&server, &members[0].0) && marked(&server, &members[1].0));
    assert!(!marked(&server, &members[2].0));
    // One each from now on. The marked ones do not count.
    let other = id(NOW + 1, 1);
    let done = add(
        &server,
        Add {
            id: &other,
            limit: 3,
            ..Add::default()
        },
    );
    assert_eq!(done.reply, added(&ids(&members[2..3]), &[]));
}

#[test]
fn a_limit_of_one_leaves_the_new_session() {
    let server = Server::start();
    let members = sessions(1);
    store(&server, &members);
    assert_eq!(evict(&server, 1).reply, added(&ids(&members), &[]));
}

#[test]
fn a_full_index_rejects_and_changes_nothing() {
    let server = Server::start();
    let members = sessions(3);
    store(&server, &members);
    let done = reject(&server, 3, "");
    assert_eq!(done.reply, format!("[0, [{}]]", ids(&members).join(", ")));
    assert!(done.has_written_nothing());
    assert_eq!(reject(&server, 4, "").reply, added(&[], &[]));
}

#[test]
fn an_id_that_is_there_needs_no_room() {
    let server = Server::start();
    let mut members = sessions(2);
    members.push((id(NOW, 1), i64::try_from(score(NOW, NOW)).expect("small")));
    for limit in [3, 2, 1] {
        server.command("DEL index");
        store(&server, &members);
        let rejected = reject(&server, limit, "");
        let evicted = evict(&server, limit);
        if limit == 3 {
            assert_eq!(rejected.reply, added(&[], &[]));
            assert_eq!(evicted.sent("ZRANGEBYSCORE").len(), 1); // marked earlier
            assert_eq!(evicted.reply, added(&[], &[]));
        } else {
            let excess = 3 - usize::try_from(limit).expect("small");
            assert_eq!(
                rejected.reply,
                format!("[0, [{}]]", ids(&members[..2]).join(", "))
            );
            assert_eq!(evicted.reply, added(&ids(&members[..excess]), &[]));
        }
    }
}

#[test]
fn the_session_that_is_replaced_needs_no_room() {
    let server = Server::start();
    let members = sessions(3);
    for replaces in [0, 2] {
        server.command("DEL index");
        store(&server, &members);
        let (new, replaces) = (id(NOW, 1), members[replaces].0.as_str());
        let call = Add {
            id: &new,
            limit: 3,
            replaces,
            ..Add::default()
        };
        let done = add(
            &server,
            Add {
                evicts: false,
                ..call
            },
        );
        assert_eq!(done.reply, added(&[], &[]));
        server.command(&format!("ZREM index {new}"));
        let done = add(&server, Add { limit: 2, ..call });
        let oldest = members.iter().find(|(id, _)| id != replaces).expect("one");
        assert_eq!(done.reply, added(&[&oldest.0], &[]));
        assert!(!marked(&server, replaces));
    }
}

/// A replaced session that is missing or marked is not counted, and one whose score is the lowest is.
#[test]
fn only_a_counted_session_that_is_replaced_makes_room() {
    let server = Server::start();
    let (members, old) = (sessions(3), id(NOW - 9_000_000, 1));
    let new = id(NOW, 1);
    let call = Add {
        id: &new,
        limit: 3,
        evicts: false,
        replaces: &old,
        ..Add::default()
    };
    for replaced in [None, Some(-1), Some(-5)] {
        server.command("DEL index");
        store(&server, &members);
        if let Some(score) = replaced {
            store(&server, &[(old.clone(), score)]);
        }
        let done = add(&server, call);
        assert!(done.reply.starts_with("[0, "), "{replaced:?}");
    }
    // Zero, where a conversion would have changed it.
    let zero = "['ZSCORE index'] = '0', ZCOUNT = 3, ZCARD = 3";
    server.command("DEL index");
    let done = add(
        &server,
        Add {
            replies: zero,
            ..call
        },
    );
    // Both the new id and the replaced session count as there.
    assert_eq!(done.reply, added(&[], &[]));
}

#[test]
fn without_a_replaced_session_none_is_looked_up() {
    let server = Server::start();
    store(&server, &sessions(3));
    let done = evict(&server, 2);
    assert_eq!(
        done.sent("ZSCORE"),
        [format!("ZSCORE index {}", id(NOW, 1))]
    );
    // Without an id, neither; and there is no room to make for it.
    let members = sessions(3);
    server.command("DEL index");
    store(&server, &members);
    let done = add(
        &server,
        Add {
            limit: 2,
            ..Add::default()
        },
    );
    assert_eq!(done.sent("ZSCORE"), [""; 0]);
    assert_eq!(done.reply, added(&ids(&members[..1]), &[]));
}

#[test]
fn a_sign_in_evicts_up_to_64() {
    let server = Server::start();
    for (count, evicted) in [(63, 63), (64, 64), (65, 64), (200, 64)] {
        server.command("DEL index");
        let members = sessions(count);
        store(&server, &members);
        let done = evict(&server, 1);
        assert_eq!(done.reply, added(&ids(&members[..evicted]), &[]), "{count}");
        // With 64, those that were marked earlier have to wait.
        let reads = if evicted == 64 { 1 } else { 2 };
        assert_eq!(done.sent("ZRANGEBYSCORE").len(), reads, "{count}");
    }
}

#[test]
fn sessions_that_a_crashed_sign_in_was_to_end_are_taken_over() {
    let server = Server::start();
    let since = |ago: u64| i64::try_from(ago).expect("small") - i64::try_from(NOW).expect("small");
    let members = [
        (id(1, 1), since(LEASE - 1)),
        (id(2, 1), since(LEASE)),
        (id(3, 1), since(LEASE + 1)),
        (id(4, 1), since(LEASE * 50)),
    ];
    store(&server, &members);
    let done = evict(&server, 9);
    assert_eq!(
        done.reply,
        added(&[&members[1].0, &members[2].0, &members[3].0], &[])
    );
    assert!(marked(&server, &members[1].0) && !marked(&server, &members[0].0));

    // Together with others no more than 64.
    server.command("DEL index");
    let alive = sessions(63);
    store(&server, &alive);
    store(&server, &members[1..3]);
    let mut expected = ids(&alive);
    expected.push(&members[1].0);
    assert_eq!(evict(&server, 1).reply, added(&expected, &[]));
}

/// The ids that a full index returns.
fn refused(done: &Done) -> Vec<String> {
    let ids = done.reply.strip_prefix("[0, [").expect("it is full");
    let ids = ids.trim_end_matches(']').split(", ");
    ids.map(str::to_owned).collect()
}

#[test]
fn up_to_128_ids_are_returned_in_their_order() {
    let server = Server::start();
    let members = sessions(128);
    store(&server, &members);
    let done = reject(&server, 5, "");
    assert_eq!(refused(&done), ids(&members));
    assert_eq!(done.sent("ZRANDMEMBER"), [""; 0]);
}

#[test]
fn of_more_the_oldest_and_some_at_random_are_returned() {
    let server = Server::start();
    let members = sessions(131);
    store(&server, &members[..129]);
    let ids_of = ids(&members);
    let new = id(NOW, 1);
    let replaced = ids_of[130];
    let random = format!(
        "ZRANDMEMBER = {{ '{}', '7', '{new}', '7', '{replaced}', '7', 'marked', '-1', 'zero', '0', '{}', '7' }}",
        ids_of[63], ids_of[64]
    );
    let call = Add {
        id: &new,
        limit: 5,
        evicts: false,
        replaces: replaced,
        ..Add::default()
    };
    let done = add(
        &server,
        Add {
            replies: &random,
            ..call
        },
    );
    let mut expected = ids_of[..64].to_vec();
    expected.extend(["zero", ids_of[64]]);
    assert_eq!(refused(&done), expected);

    let without_mock = refused(&add(&server, call));
    assert!(without_mock.len() > 64 && without_mock.len() <= 128);
}
