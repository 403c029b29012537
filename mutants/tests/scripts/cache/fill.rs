use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-cache/src/scripts/fill.lua");
const LEASE: &str = "l token";
/// Stale for the last 1000 ms of its TTL; the caller has a lease on it.
const STALE: &str = "v 1000 5 token 300\nthe old record";

/// Fills a key that has this value for 60 seconds.
fn fill(server: &Server, value: &str, ttl: &str) -> Done {
    fill_in(server, value, 60_000, ttl)
}

fn fill_in(server: &Server, value: &str, left: u32, ttl: &str) -> Done {
    let setup = format!("store(KEYS[1], '{}', {left})", value.replace('\n', "\\n"));
    server.run(Call {
        script: SCRIPT,
        setup: &setup,
        keys: &["record"],
        args: &["token", ttl, "the record"],
        ..Call::default()
    })
}

#[test]
fn the_owner_of_the_lease_stores_the_record() {
    let server = Server::start();
    for value in [LEASE, STALE] {
        assert_eq!(fill(&server, value, "90000").reply, "1");
        assert_eq!(server.get("record"), "the record");
        assert!(server.lives_for("record", 90_000));
        assert_eq!(
            fill(&server, value, "1").sent("SET"),
            ["SET record the record PX 1"]
        );
    }
}

#[test]
fn without_the_lease_nothing_is_stored() {
    let server = Server::start();
    for value in [
        "l another",
        "v 1000 5 another 300\nthe old record",
        "v 1000 5 - 0\nthe old record",
        "something",
    ] {
        for ttl in ["90000", "0", "-1"] {
            let done = fill(&server, value, ttl);
            assert_eq!(done.reply, "0", "{value}");
            assert!(done.has_written_nothing());
        }
    }
    for ttl in ["90000", "0", "-1"] {
        let done = server.run(Call {
            script: SCRIPT,
            setup: "redis.call('DEL', KEYS[1])",
            keys: &["record"],
            args: &["token", ttl, "the record"],
            ..Call::default()
        });
        assert_eq!(done.reply, "0");
        assert!(done.has_written_nothing());
    }
}

#[test]
fn a_record_that_does_not_exist_is_removed() {
    let server = Server::start();
    for value in [LEASE, STALE] {
        let done = fill(&server, value, "-1");
        assert_eq!((done.reply.as_str(), done.sent("SET").len()), ("1", 0));
        assert_eq!(server.get("record"), "nil");
    }
}

#[test]
fn a_lease_that_is_given_back_is_removed() {
    let server = Server::start();
    assert_eq!(fill(&server, LEASE, "0").reply, "1");
    assert_eq!(server.get("record"), "nil");
}

#[test]
fn a_lease_on_a_fresh_record_is_given_back() {
    let server = Server::start();
    let done = fill_in(&server, STALE, 1001, "0");
    assert_eq!(done.reply, "1");
    assert_eq!(
        done.sent("SET"),
        ["SET record v 1000 5 - 0\nthe old record PX 1001"]
    );
    assert_eq!(done.sent("DEL"), [""; 0]);
}

#[test]
fn a_lease_on_a_stale_record_stays() {
    let server = Server::start();
    let done = fill_in(&server, STALE, 1000, "0");
    assert_eq!(done.reply, "1");
    assert!(done.has_written_nothing());
}
