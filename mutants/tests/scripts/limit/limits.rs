use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-limit/src/scripts/limits.lua");

/// One limit with GCRA: a request costs `increment` microseconds, of at most 3 seconds.
fn gcra(server: &Server, setup: &str, increment: &str) -> Done {
    run(server, setup, &["g", increment, "3000000", "0", "1"])
}

/// One fixed window of a minute with at most five units.
fn window(server: &Server, setup: &str, increment: &str) -> Done {
    run(server, setup, &["w", increment, "5", "60000", "1"])
}

fn run(server: &Server, setup: &str, args: &[&str]) -> Done {
    const KEYS: [&str; 3] = ["one", "two", "three"];
    server.run(Call {
        script: SCRIPT,
        setup,
        keys: &KEYS[..args.len() / 5],
        args,
        ..Call::default()
    })
}

/// Stores the counter of the first limit.
fn counter(value: &str, ttl: u32) -> String {
    format!("store(KEYS[1], '{value}', {ttl})")
}

#[test]
fn the_level_of_gcra_is_the_ttl_less_its_rounding() {
    let server = Server::start();
    let done = gcra(&server, "", "1500000");
    assert_eq!(done.reply, "[1, 1500000, 1500]");
    assert_eq!(done.sent("SET"), ["SET one 0 PX 1500"]);
    let done = gcra(&server, &counter("0", 1500), "500001");
    assert_eq!(done.reply, "[1, 2000001, 2001]");
    assert_eq!(done.sent("SET"), ["SET one 999 PX 2001"]);
    let done = gcra(&server, &counter("999", 1), "1");
    assert_eq!(done.reply, "[1, 2, 1]");
}

#[test]
fn gcra_allows_the_capacity_and_no_more() {
    let server = Server::start();
    let done = gcra(&server, &counter("0", 1500), "1500000");
    assert_eq!(done.reply, "[1, 3000000, 3000]");
    let done = gcra(&server, &counter("0", 1500), "1500001");
    assert_eq!(done.reply, "[0, 1500000, 1500]");
    assert!(done.has_written_nothing());
}

#[test]
fn a_level_outside_of_the_capacity_is_clamped() {
    let server = Server::start();
    assert_eq!(
        gcra(&server, &counter("0", 9000), "1").reply,
        "[0, 3000000, 9000]"
    );
    assert_eq!(gcra(&server, &counter("9000", 1), "7").reply, "[1, 7, 1]");
    assert_eq!(
        gcra(&server, &counter("x", 1000), "7").reply,
        "[1, 1000007, 1001]"
    );
}

#[test]
fn a_window_counts_units_and_keeps_its_ttl() {
    let server = Server::start();
    let done = window(&server, "", "2");
    assert_eq!(done.reply, "[1, 2, 60000]");
    assert_eq!(done.sent("SET"), ["SET one 2 PX 60000"]);
    let done = window(&server, &counter("2", 700), "3");
    assert_eq!(done.reply, "[1, 5, 700]");
    assert_eq!(done.sent("SET"), ["SET one 5 PX 700"]);
    assert_eq!(
        window(&server, &counter("2", 700), "4").reply,
        "[0, 2, 700]"
    );
    assert_eq!(window(&server, &counter("2", 1), "1").reply, "[1, 3, 1]");
    assert_eq!(
        window(&server, &counter("x", 700), "1").reply,
        "[1, 1, 700]"
    );
}

/// A counter without a TTL is none.
#[test]
fn without_a_ttl_nothing_is_used() {
    let server = Server::start();
    let lasting = "redis.call('SET', KEYS[1], '4')";
    assert_eq!(window(&server, lasting, "2").reply, "[1, 2, 60000]");
    let none = "redis.call('DEL', KEYS[1])";
    assert_eq!(window(&server, none, "6").reply, "[0, 0, 0]");
    assert_eq!(gcra(&server, none, "3000001").reply, "[0, 0, 0]");
}

#[test]
fn a_request_that_costs_nothing_is_not_charged() {
    let server = Server::start();
    let done = window(&server, &counter("2", 700), "0");
    assert_eq!(done.reply, "[1, 2, 700]");
    assert!(done.has_written_nothing());
    assert!(gcra(&server, "", "0").has_written_nothing());
}

#[test]
fn one_refusal_charges_none() {
    let server = Server::start();
    let refused = [
        "w", "1", "5", "60000", "1", "g", "9", "8", "0", "1", "w", "1", "5", "60000", "1",
    ];
    let done = run(&server, "", &refused);
    assert_eq!(done.reply, "[1, 0, 0, 0, 0, 0, 1, 0, 0]");
    assert!(done.has_written_nothing());
}

#[test]
fn a_limit_that_only_reports_refuses_nothing() {
    let server = Server::start();
    let reported = [
        "w", "1", "5", "60000", "1", "g", "9", "8", "0", "0", "w", "2", "5", "50000", "1",
    ];
    let done = run(&server, "", &reported);
    assert_eq!(done.reply, "[1, 1, 60000, 0, 0, 0, 1, 2, 50000]");
    assert_eq!(
        done.sent("SET"),
        ["SET one 1 PX 60000", "SET three 2 PX 50000"]
    );
}
