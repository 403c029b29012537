use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-limit/src/scripts/refund.lua");

fn refund(server: &Server, setup: &str, args: &[&str]) -> Done {
    const KEYS: [&str; 2] = ["one", "two"];
    let done = server.run(Call {
        script: SCRIPT,
        setup,
        keys: &KEYS[..args.len() / 3],
        args,
        ..Call::default()
    });
    assert_eq!(done.reply, "1");
    done
}

/// Stores a counter.
fn counter(value: &str, ttl: u32) -> String {
    format!("store(KEYS[1], '{value}', {ttl})")
}

#[test]
fn the_level_of_gcra_is_lowered() {
    let server = Server::start();
    let done = refund(&server, &counter("999", 2001), &["g", "500000", "1"]);
    assert_eq!(done.sent("SET"), ["SET one 999 PX 1501"]);
    let done = refund(&server, &counter("0", 1), &["g", "1", "1"]);
    assert_eq!(done.sent("SET"), ["SET one 1 PX 1"]);
    let done = refund(&server, &counter("x", 2), &["g", "1000", "1"]);
    assert_eq!(done.sent("SET"), ["SET one 0 PX 1"]);
}

#[test]
fn a_level_of_zero_removes_the_counter() {
    let server = Server::start();
    for (value, args) in [
        ("500", ["g", "500", "1"]),
        ("500", ["g", "501", "1"]),
        ("2", ["w", "2", "1"]),
        ("2", ["w", "3", "1"]),
        ("x", ["w", "1", "1"]),
    ] {
        let done = refund(&server, &counter(value, 1), &args);
        assert_eq!(done.sent("DEL"), ["DEL one"], "{args:?}");
        assert_eq!(done.sent("SET"), [""; 0]);
    }
}

#[test]
fn a_window_is_refunded_until_the_next_one_has_begun() {
    let server = Server::start();
    let args = ["w", "2", "700"];
    for (ttl, sent) in [
        (699, Some("SET one 1 PX 699")),
        (700, Some("SET one 1 PX 700")),
        (701, None),
    ] {
        let done = refund(&server, &counter("3", ttl), &args);
        assert_eq!(done.sent("SET"), sent.iter().copied().collect::<Vec<_>>());
        assert_eq!(done.sent("DEL"), [""; 0]);
    }
}

#[test]
fn without_a_counter_there_is_nothing_to_refund() {
    let server = Server::start();
    for kind in ["g", "w"] {
        let args = [kind, "2", "700"];
        assert!(refund(&server, "redis.call('DEL', KEYS[1])", &args).has_written_nothing());
        assert!(refund(&server, "redis.call('SET', KEYS[1], '9')", &args).has_written_nothing());
    }
    // It expires in this millisecond.
    let done = server.run(Call {
        script: SCRIPT,
        replies: "PTTL = 0",
        keys: &["one"],
        args: &["g", "2", "700"],
        ..Call::default()
    });
    assert!(done.has_written_nothing());
}

#[test]
fn each_counter_has_its_own_charge() {
    let server = Server::start();
    let setup = "for index = 1, 2 do store(KEYS[index], '5', 1000 * index) end";
    let done = refund(&server, setup, &["g", "500000", "1", "w", "2", "2000"]);
    assert_eq!(done.sent("SET"), ["SET one 5 PX 500", "SET two 3 PX 2000"]);
}
