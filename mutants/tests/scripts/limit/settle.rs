use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-limit/src/scripts/settle.lua");

/// Settles an attempt whose account is stored as `account`, or is not, if that is empty.
fn settle(server: &Server, account: &str, how: &str, browser: Option<(&str, u32)>) -> Done {
    let mut setup = "redis.call('DEL', 'account', 'browser')".to_owned();
    if !account.is_empty() {
        setup += &format!(" store('account', '{account}', 5000)");
    }
    let keys: &[&str] = if browser.is_some() {
        &["account", "browser"]
    } else {
        &["account"]
    };
    if let Some((value, ttl @ 1..)) = browser {
        setup += &format!(" store('browser', '{value}', {ttl})");
    }
    server.run(Call {
        script: SCRIPT,
        setup: &setup,
        keys,
        args: &[how, "90000", "500000"],
        ..Call::default()
    })
}

const NONE: Option<(&str, u32)> = Some(("", 0));

#[test]
fn a_success_of_a_known_browser_ends_the_failures_in_a_row() {
    let server = Server::start();
    let done = settle(&server, "3:4:77", "s", Some(("0", 2000)));
    assert_eq!(done.reply, "4");
    assert_eq!(done.sent("SET"), ["SET account 3:0:77 PX 90000"]);
    assert_eq!(done.sent("DEL"), ["DEL browser"]);
    let done = settle(&server, "0:4:77", "s", NONE);
    assert_eq!(done.sent("DEL"), ["DEL browser", "DEL account"]);
}

#[test]
fn a_success_of_another_browser_ends_the_delays_too() {
    let server = Server::start();
    for how in ["s", "l"] {
        let done = settle(&server, "3:4:77", how, None);
        assert_eq!(done.reply, "4");
        assert_eq!(done.sent("DEL"), ["DEL account"]);
        assert_eq!(done.sent("SET"), [""; 0]);
    }
    let done = settle(&server, "3:4:77", "l", Some(("0", 2000)));
    assert_eq!(done.sent("DEL"), ["DEL account"]);
}

#[test]
fn an_attempt_that_was_not_checked_counts_no_more() {
    let server = Server::start();
    for (before, after) in [
        ("3:4:77", "SET account 2:3:77 PX 90000"),
        ("1:2:77", "SET account 0:1:77 PX 90000"),
        ("2:1:77", "SET account 1:0:77 PX 90000"),
        ("0:4:77", "SET account 0:3:77 PX 90000"),
        ("4:0:77", "SET account 3:0:77 PX 90000"),
    ] {
        let done = settle(&server, before, "c", None);
        assert_eq!(done.sent("SET"), [after]);
        assert_eq!(done.sent("DEL"), [""; 0]);
    }
    for before in ["1:1:77", "0:1:77", "1:0:77", "", "something"] {
        let done = settle(&server, before, "c", None);
        assert_eq!(done.sent("DEL"), ["DEL account"], "{before}");
        assert_eq!(done.sent("SET"), [""; 0]);
    }
    assert_eq!(settle(&server, "", "c", None).reply, "0");
}

#[test]
fn the_level_of_a_known_browser_is_lowered() {
    let server = Server::start();
    for (value, ttl, after) in [
        ("999", 2001, "SET browser 999 PX 1501"),
        ("0", 1000, "SET browser 0 PX 500"),
        ("499999", 1000, "SET browser 999 PX 1"),
        ("x", 1000, "SET browser 0 PX 500"),
    ] {
        let done = settle(&server, "3:4:77", "c", Some((value, ttl)));
        assert_eq!(done.reply, "4");
        assert_eq!(done.sent("SET"), [after, "SET account 3:3:77 PX 90000"]);
    }
    for (value, ttl) in [("500000", 1000), ("0", 1), ("", 0)] {
        let done = settle(&server, "3:4:77", "c", Some((value, ttl)));
        assert_eq!(done.sent("DEL"), ["DEL browser"], "{value} {ttl}");
        assert_eq!(done.sent("SET"), ["SET account 3:3:77 PX 90000"]);
    }
    // A level of less than a millisecond.
    let done = server.run(Call {
        script: SCRIPT,
        setup: "store('browser', '0', 1)",
        keys: &["account", "browser"],
        args: &["c", "90000", "500"],
        ..Call::default()
    });
    assert_eq!(done.sent("SET")[0], "SET browser 500 PX 1");
}
