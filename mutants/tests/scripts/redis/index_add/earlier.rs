//! Entries as earlier versions wrote them.

use super::limits::reject;
use super::{NOW, id, score, score_of, store};
use crate::server::Server;

/// Entries of the format of earlier versions, which are deadlines: `count` of them, those that expire first, first.
fn old_entries(count: u64) -> Vec<(String, i64)> {
    let entry = |number| {
        let deadline = NOW + 1_000_000 + number;
        (
            id(NOW - 7_200_000 + number, 1),
            i64::try_from(deadline).expect("small"),
        )
    };
    (0..count).map(entry).collect()
}

#[test]
fn up_to_1024_entries_of_earlier_versions_are_converted() {
    let server = Server::start();
    for (count, left, passes) in [
        (1100, 76, 16),
        (1024, 0, 16),
        (64, 0, 2),
        (63, 0, 1),
        (3, 0, 1),
    ] {
        server.command("DEL index");
        store(&server, &old_entries(count));
        let done = reject(&server, 1, "");
        assert_eq!(done.sent("ZRANGE").len(), passes, "{count}");
        let unconverted = server.command("ZCOUNT index 0 (100000000000000");
        assert_eq!(unconverted, left.to_string(), "{count}");
    }
}

#[test]
fn an_entry_that_is_stale_is_removed_and_another_one_converted() {
    let server = Server::start();
    let now = i64::try_from(NOW).expect("small");
    let old = [
        (id(1, 1), now - 300_001),
        (id(2, 1), now - 300_000),
        (id(3, 1), now + 5),
    ];
    store(&server, &old);
    reject(&server, 1, "");
    assert_eq!(score_of(&server, &old[0].0), "nil");
    assert_eq!(
        score_of(&server, &old[1].0),
        score(2, NOW - 300_000).to_string()
    );
    assert_eq!(score_of(&server, &old[2].0), score(3, NOW + 5).to_string());
}
