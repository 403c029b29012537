use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-limit/src/scripts/attempt.lua");
/// The time of the server in milliseconds.
const NOW: u64 = 1_700_000_000_123;

/// The rules: two free attempts, then delays of 1000 to 8000 ms; unknown browsers are stopped after 10 failures in a
/// row and all after 20; the level is forgotten after a minute; a known browser has 3 s, and an attempt costs 500 ms.
const RULES: [&str; 9] = [
    "2", "1000", "8000", "10", "20", "60000", "90000", "500000", "3000000",
];

/// Takes an attempt on an account that is stored as `account`, or is not, if that is empty.
fn attempt(server: &Server, account: &str, rules: [&str; 9], browser: Option<&str>) -> Done {
    let mut setup = "redis.call('DEL', 'account', 'browser')".to_owned();
    if !account.is_empty() {
        setup += &format!(" store('account', '{account}', 5000)");
    }
    setup += browser.unwrap_or_default();
    let keys: &[&str] = if browser.is_some() {
        &["account", "browser"]
    } else {
        &["account"]
    };
    server.run(Call {
        script: SCRIPT,
        setup: &setup,
        replies: "TIME = { '1700000000', '123999' }",
        keys,
        args: &rules,
    })
}

fn unknown(server: &Server, level: u32, streak: u32, ago: u64) -> Done {
    attempt(
        server,
        &format!("{level}:{streak}:{}", NOW - ago),
        RULES,
        None,
    )
}

/// The reply to an attempt that was taken now.
fn taken(level: u32, streak: u32) -> String {
    format!("[0, 0, {level}, {streak}, {NOW}]")
}

#[test]
fn the_first_attempts_are_free_and_counted() {
    let server = Server::start();
    for account in ["", "something"] {
        let done = attempt(&server, account, RULES, None);
        assert_eq!(done.reply, taken(1, 1));
        assert_eq!(
            done.sent("SET"),
            [format!("SET account 1:1:{NOW} PX 90000")]
        );
    }
    assert_eq!(unknown(&server, 1, 3, 0).reply, taken(2, 4));
}

#[test]
fn the_delay_doubles_up_to_the_longest() {
    let server = Server::start();
    for (level, delay) in [
        (2, 1000),
        (3, 2000),
        (4, 4000),
        (5, 8000),
        (6, 8000),
        (99, 8000),
    ] {
        let done = unknown(&server, level, 3, delay - 1);
        let last = NOW - (delay - 1);
        assert_eq!(done.reply, format!("[1, 1, {level}, 3, {last}]"));
        assert!(done.has_written_nothing());
        assert_eq!(unknown(&server, level, 3, delay).reply, taken(level + 1, 4));
    }
}

#[test]
fn the_delay_and_the_level_are_bounded() {
    let server = Server::start();
    let account = format!("90:3:{NOW}");
    let rules = [
        "2",
        "1",
        "9000000000000000",
        "10",
        "20",
        "60000",
        "90000",
        "1",
        "1",
    ];
    let delay = 1_u64 << 40;
    let reply = attempt(&server, &account, rules, None).reply;
    assert_eq!(reply, format!("[1, {delay}, 90, 3, {NOW}]"));

    for (before, after) in [
        (999_998, 999_999),
        (999_999, 1_000_000),
        (1_000_000, 1_000_000),
    ] {
        assert_eq!(unknown(&server, before, 3, 50_000).reply, taken(after, 4));
    }
}

#[test]
fn the_level_is_forgotten_after_a_while() {
    let server = Server::start();
    assert_eq!(unknown(&server, 9, 3, 59_999).reply, taken(10, 4));
    assert_eq!(unknown(&server, 9, 3, 60_000).reply, taken(1, 4));
}

#[test]
fn a_clock_that_was_set_back_delays_no_longer() {
    let server = Server::start();
    let done = attempt(&server, &format!("2:3:{}", NOW + 5000), RULES, None);
    assert_eq!(done.reply, format!("[1, 1000, 2, 3, {NOW}]"));
}

#[test]
fn many_failures_in_a_row_stop_unknown_browsers() {
    let server = Server::start();
    assert_eq!(unknown(&server, 1, 9, 0).reply, taken(2, 10));
    let done = unknown(&server, 1, 10, 0);
    assert_eq!(done.reply, format!("[3, 0, 1, 10, {NOW}]"));
    assert!(done.has_written_nothing());
}

fn known(server: &Server, streak: u32, browser: &str) -> Done {
    attempt(
        server,
        &format!("7:{streak}:{}", NOW - 3),
        RULES,
        Some(browser),
    )
}

#[test]
fn a_known_browser_has_a_level_of_its_own() {
    let server = Server::start();
    let done = known(&server, 15, "");
    assert_eq!(done.reply, format!("[0, 0, 7, 16, {}]", NOW - 3));
    let account = format!("SET account 7:16:{} PX 90000", NOW - 3);
    assert_eq!(done.sent("SET"), ["SET browser 0 PX 500", &account]);
    for (value, ttl, sent) in [
        ("0", 2500, "SET browser 0 PX 3000"),
        ("999", 2001, "SET browser 999 PX 2501"),
        ("1", 1, "SET browser 1 PX 501"),
        ("x", 700, "SET browser 0 PX 1200"),
        // More was rounded up than the whole level.
        ("5000", 1, "SET browser 0 PX 500"),
    ] {
        let browser = format!(" store('browser', '{value}', {ttl})");
        assert_eq!(known(&server, 15, &browser).sent("SET")[0], sent);
    }
    // A counter without a TTL is none.
    let lasting = known(&server, 15, " redis.call('SET', 'browser', '-900000')");
    assert_eq!(lasting.sent("SET")[0], "SET browser 0 PX 500");
}

#[test]
fn a_known_browser_waits_until_its_level_is_low_enough() {
    let server = Server::start();
    for (value, ttl, wait) in [
        ("999", 2501, 1),
        ("0", 2501, 1),
        ("0", 2600, 100),
        ("0", 9000, 500),
    ] {
        let browser = format!(" store('browser', '{value}', {ttl})");
        let done = known(&server, 15, &browser);
        assert_eq!(done.reply, format!("[2, {wait}, 7, 15, {}]", NOW - 3));
        assert!(done.has_written_nothing());
    }
}

#[test]
fn very_many_failures_in_a_row_stop_all_browsers() {
    let server = Server::start();
    assert!(known(&server, 19, "").reply.starts_with("[0, 0, 7, 20, "));
    let done = known(&server, 20, "");
    assert_eq!(done.reply, format!("[3, 0, 7, 20, {}]", NOW - 3));
    assert!(done.has_written_nothing());
}
