use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-cache/src/scripts/read.lua");

/// Stale for the last 1000 ms of its TTL, of generation 5, without a lease.
const FREE: &str = "v 1000 5 - 0\nthe record";
/// The same; somebody has a lease on it while its TTL is above 300 ms.
const HELD: &str = "v 1000 5 other 300\nthe record";

/// Reads a key with this value and TTL; a lease takes 400 ms.
fn read(server: &Server, value: &str, ttl: u32, generation: &str, mode: &str) -> Done {
    let value = value.replace('\n', "\\n");
    let setup = format!("store(KEYS[1], '{value}', {ttl})");
    run(server, &setup, "", generation, mode)
}

fn run(server: &Server, setup: &str, replies: &str, generation: &str, mode: &str) -> Done {
    server.run(Call {
        script: SCRIPT,
        setup,
        replies,
        keys: &["key"],
        args: &["token", "400", generation, mode],
    })
}

/// Whether the caller has the lease, and there is no value.
fn has_lease(done: &Done) -> bool {
    done.reply == "[4]" && done.sent("SET") == ["SET key l token PX 400"]
}

#[test]
fn a_missing_record_is_leased() {
    let server = Server::start();
    for mode in ["0", "1", "2"] {
        assert!(has_lease(&run(
            &server,
            "redis.call('DEL', KEYS[1])",
            "",
            "5",
            mode
        )));
        assert!(has_lease(&read(&server, "something", 700, "5", mode)));
    }
}

#[test]
fn the_lease_of_somebody_else_is_waited_for_unless_the_caller_loads_in_any_case() {
    let server = Server::start();
    for mode in ["0", "1"] {
        let done = read(&server, "l other", 700, "5", mode);
        assert_eq!(done.reply, "[5, 700]");
        assert!(done.has_written_nothing());
    }
    assert!(has_lease(&read(&server, "l other", 700, "5", "2")));
}

#[test]
fn a_fresh_record_is_returned() {
    let server = Server::start();
    for value in [FREE, HELD] {
        for (ttl, fresh) in [(5000, 4000), (1001, 1)] {
            let done = read(&server, value, ttl, "5", "0");
            assert_eq!(done.reply, format!("[1, {fresh}, the record]"));
            assert!(done.has_written_nothing());
        }
    }
    assert_eq!(
        read(&server, FREE, 5000, "4", "0").reply,
        "[1, 4000, the record]"
    );
}

#[test]
fn a_stale_record_is_used_while_somebody_else_loads_it() {
    let server = Server::start();
    for ttl in [1000, 301] {
        let done = read(&server, HELD, ttl, "5", "0");
        assert_eq!(done.reply, format!("[2, {ttl}, the record]"));
        assert!(done.has_written_nothing());
    }
}

#[test]
fn a_stale_record_that_nobody_loads_is_leased() {
    let server = Server::start();
    for (value, ttl, end) in [
        (FREE, 1000, 600),
        (HELD, 300, 0),
        (FREE, 401, 1),
        (FREE, 400, 0),
        (FREE, 1, 0),
    ] {
        let done = read(&server, value, ttl, "5", "0");
        assert_eq!(done.reply, format!("[3, {ttl}, the record]"));
        let set = format!("SET key v 1000 5 token {end}\nthe record PX {ttl}");
        assert_eq!(done.sent("SET"), [set]);
    }
}

/// The key expires in this millisecond: it is kept for one.
#[test]
fn a_record_without_time_left_is_leased() {
    let server = Server::start();
    let setup = "redis.call('SET', KEYS[1], 'v 1000 5 - 0\\nthe record')";
    let done = run(&server, setup, "PTTL = 0", "5", "0");
    assert_eq!(done.reply, "[3, 0, the record]");
    assert_eq!(
        done.sent("SET"),
        ["SET key v 1000 5 token 0\nthe record PX 1"]
    );
}

#[test]
fn a_caller_that_loads_in_any_case_leaves_the_value_to_others() {
    let server = Server::start();
    for value in [FREE, HELD] {
        for (ttl, end) in [(5000, 4600), (700, 300)] {
            let done = read(&server, value, ttl, "5", "2");
            assert_eq!(done.reply, "[4]");
            let set = format!("SET key v 1000 5 token {end}\nthe record PX {ttl}");
            assert_eq!(done.sent("SET"), [set]);
        }
    }
}

#[test]
fn a_value_that_does_not_count_is_replaced_by_a_lease() {
    let server = Server::start();
    for value in [FREE, HELD] {
        assert!(has_lease(&read(&server, value, 5000, "6", "2")));
    }
    assert!(has_lease(&read(&server, FREE, 5000, "6", "0")));
    assert!(has_lease(&read(&server, FREE, 5000, "5", "1")));
    assert!(has_lease(&read(&server, HELD, 300, "5", "1")));
}

#[test]
fn while_somebody_loads_a_value_that_does_not_count_the_others_wait() {
    let server = Server::start();
    for (generation, mode) in [("6", "0"), ("5", "1"), ("6", "1")] {
        let done = read(&server, HELD, 5000, generation, mode);
        assert_eq!(done.reply, "[5, 4700]");
        assert!(done.has_written_nothing());
    }
}
