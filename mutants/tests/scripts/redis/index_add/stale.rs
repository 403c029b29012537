use super::{Add, NOW, STALE, add, added, id, score_of, store};
use crate::server::{Done, Server};

/// Adds an id that removes stale entries, when these entries are drawn.
fn clean(server: &Server, drawn: &[(&str, i64)]) -> Done {
    for (member, score) in drawn {
        server.command(&format!("ZADD index {score} {member}"));
    }
    let drawn: Vec<String> = drawn
        .iter()
        .map(|(member, score)| format!("'{member}', '{score}'"))
        .collect();
    let replies = format!("ZRANDMEMBER = {{ {} }}", drawn.join(", "));
    add(
        server,
        Add {
            id: &id(NOW, 8),
            replies: &replies,
            ..Add::default()
        },
    )
}

/// The score of an id that expires 64 seconds after its creation.
fn shortest(created: u64) -> i64 {
    i64::try_from(created * 2048).expect("it is small")
}

#[test]
fn one_of_eight_sign_ins_looks_for_stale_entries() {
    let server = Server::start();
    for (end, looks) in [(0, 1), (1, 0), (2, 0), (7, 0), (8, 1), (9, 0)] {
        let done = add(
            &server,
            Add {
                id: &id(NOW, end),
                ..Add::default()
            },
        );
        assert_eq!(done.sent("ZRANDMEMBER").len(), looks, "{end}");
        assert_eq!(done.sent("ZRANGE").len(), looks, "{end}");
    }
}

#[test]
fn a_stale_entry_is_removed_and_an_old_one_returned_to_be_checked() {
    let server = Server::start();
    // Its deadline was 64 s after its creation, and that is longer ago than entries are kept.
    let created = NOW - STALE - 64_000;
    let (stale, old) = (id(created - 1, 1), id(created, 1));
    let done = clean(
        &server,
        &[(&stale, shortest(created - 1)), (&old, shortest(created))],
    );
    assert_eq!(done.reply, added(&[], &[&old]));
    assert_eq!(score_of(&server, &stale), "nil");
    assert_eq!(score_of(&server, &old), shortest(created).to_string());
}

#[test]
fn the_deadline_is_read_from_the_code() {
    let server = Server::start();
    // (64 + 32) * 2^5 seconds: 3072.
    let code = 5 * 64 + 32;
    let created = NOW - STALE - 3_072_000;
    let (stale, old) = (id(created - 1, 1), id(created, 1));
    let drawn = [
        (stale.as_str(), shortest(created - 1) + code),
        (old.as_str(), shortest(created) + code),
    ];
    assert_eq!(clean(&server, &drawn).reply, added(&[], &[&old]));
    assert_eq!(score_of(&server, &stale), "nil");
}

#[test]
fn entries_that_are_not_old_are_left_alone() {
    let server = Server::start();
    let (border, old) = (id(NOW - STALE, 1), id(NOW - STALE - 1, 1));
    let drawn = [
        (border.as_str(), shortest(NOW - STALE)),
        (old.as_str(), shortest(NOW - STALE - 1)),
    ];
    assert_eq!(clean(&server, &drawn).reply, added(&[], &[&old]));
}

#[test]
fn the_new_id_is_not_checked() {
    let server = Server::start();
    let created = 60_000_000_000;
    let new = id(created, 8);
    let replies = format!("ZRANDMEMBER = {{ '{new}', '{}' }}", shortest(created));
    let done = add(
        &server,
        Add {
            id: &new,
            replies: &replies,
            ..Add::default()
        },
    );
    assert_eq!(done.reply, added(&[], &[]));
    assert_eq!(done.sent("ZREM"), [""; 0]);
}

/// The code of a marked entry is not known, nor that of one in the format of earlier versions.
#[test]
fn an_entry_without_a_code_is_returned_to_be_checked() {
    let server = Server::start();
    let (marked, lowest) = (id(1, 1), id(100_000_000_000_000 / 2048, 1));
    let drawn = [
        (marked.as_str(), -2048),
        (lowest.as_str(), 100_000_000_000_000),
    ];
    assert_eq!(clean(&server, &drawn).reply, added(&[], &[&marked]));
    assert_eq!(score_of(&server, &lowest), "nil");
    assert_eq!(score_of(&server, &marked), "-2048");
}

#[test]
fn a_member_that_is_no_id_is_as_old_as_can_be() {
    let server = Server::start();
    let score = 100_000_000_000_000;
    assert_eq!(
        clean(&server, &[("something", score)]).reply,
        added(&[], &[])
    );
    assert_eq!(score_of(&server, "something"), "nil");
}

#[test]
fn it_converts_up_to_64_entries_of_earlier_versions() {
    let server = Server::start();
    let entry = |number| {
        (
            id(NOW - number, 1),
            1_800_000_000_000 + i64::try_from(number).expect("small"),
        )
    };
    store(&server, &(0..70).map(entry).collect::<Vec<_>>());
    let done = clean(&server, &[]);
    assert_eq!(done.reply, added(&[], &[]));
    assert_eq!(server.command("ZCOUNT index 0 (100000000000000"), "6");
}
