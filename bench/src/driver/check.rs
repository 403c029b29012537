//! Checks that every route does what it should: a server that is fast because it stores nothing must not
//! be compared.

use std::collections::BTreeMap;

use super::http;
use super::nodes::Nodes;
use super::process::Server;
use super::testbed::{Testbed, visits};
use crate::BoxError;
use crate::args::Setting;
use crate::subject::{Route, Subject};

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

/// Requests all routes of a subject, and looks in Redis and through a second server for what they
/// stored.
pub(super) fn check(subject: Subject, setting: Setting) -> Result<(), BoxError> {
    let testbed = Testbed::start(subject, setting, 3)?;
    check_all(&testbed).map_err(|error| testbed.error(&error))
}

fn check_all(testbed: &Testbed) -> Result<(), BoxError> {
    let second_server = Server::start(testbed.args, false)?;
    check_none(testbed)?;
    check_write(testbed, &second_server)?;
    check_sign_in(testbed, &second_server)?;
    let shortest = ttls(&testbed.redis).into_iter().min();
    expect(shortest > Some(0), "there is a key that does not expire")?;
    if testbed.args.subject.extends_at_every_read() {
        check_rolling(testbed)?;
    }
    Ok(())
}

fn check_none(testbed: &Testbed) -> Result<(), BoxError> {
    let body = http::get(testbed.port(), Route::None.path(), &testbed.cookies[0])?.body;
    expect(body == "none", "the session is used where it should not be")
}

fn check_write(testbed: &Testbed, second_server: &Server) -> Result<(), BoxError> {
    let [cookies, other_cookies, ..] = testbed.cookies.as_slice() else {
        return Err("too few sessions".into());
    };
    let port = testbed.port();
    let before = dump(&testbed.redis);
    expect(before.len() >= 3, "sessions are not in Redis")?;
    http::get(port, Route::Write.path(), cookies)?;
    expect(dump(&testbed.redis) != before, "a write is not in Redis")?;
    expect(
        visits(second_server.port(), cookies)? == 1,
        "another server does not see a write",
    )?;
    expect(visits(port, cookies)? == 1, "a write is lost")?;
    expect(
        visits(port, other_cookies)? == 0,
        "a write is in two sessions",
    )
}

fn check_sign_in(testbed: &Testbed, second_server: &Server) -> Result<(), BoxError> {
    let keys = dump(&testbed.redis).len();
    let response = http::get(testbed.port(), Route::SignIn.path(), "")?;
    let cookies = http::cookies_of(&response)?;
    expect(
        visits(second_server.port(), &cookies)? == 0,
        "another server does not see a new session",
    )?;
    expect(
        dump(&testbed.redis).len() > keys,
        "a new session is not in Redis",
    )
}

fn check_rolling(testbed: &Testbed) -> Result<(), BoxError> {
    let half_an_hour = (HOUR / 2).to_string();
    for node in testbed.redis.iter() {
        for key in node.keys() {
            node.command(&["PEXPIRE", &key, &half_an_hour]);
        }
    }
    for cookies in testbed.cookies.iter().chain(&testbed.cookies) {
        http::get(testbed.port(), Route::Rolling.path(), cookies)?;
    }
    let longest = ttls(&testbed.redis).into_iter().max();
    expect(
        longest > Some(2 * HOUR),
        "reading does not extend a session's life",
    )
}

fn expect(holds: bool, otherwise: &str) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// Returns the values of all keys.
fn dump(redis: &Nodes) -> BTreeMap<String, Vec<u8>> {
    let values = redis.of_each_key(&["DUMP"]).into_iter();
    values.map(|(key, value)| (key, value.bytes())).collect()
}

/// Returns the milliseconds after which each key expires.
fn ttls(redis: &Nodes) -> Vec<i64> {
    let ttls = redis.of_each_key(&["PTTL"]).into_iter();
    ttls.map(|(_, ttl)| ttl.number()).collect()
}
