//! Whether every route does what it says: a server that is fast because it forgets is no subject.

use super::http;
use super::process::Server;
use super::redis::Redis;
use super::stage::{Stage, visits_of};
use crate::Problem;
use crate::subject::{Route, Subject};

const HOUR: i64 = 60 * 60 * 1000;

/// Goes through all routes of a subject, and looks into Redis and through a second server whether
/// what they did is there.
pub(super) fn check(subject: Subject) -> Result<(), Problem> {
    let told = |problem: Problem| Problem::from(format!("{}: {problem}", subject.name()));
    check_all(subject).map_err(told)
}

fn check_all(subject: Subject) -> Result<(), Problem> {
    let stage = Stage::set(subject, 3)?;
    let elsewhere = Server::start(stage.setup, false)?;
    let port = stage.server.port();
    let [cookies, others, _] = stage.cookies.as_slice() else {
        return Err("not as many sessions as asked for".into());
    };

    let body = http::get(port, Route::None.path(), cookies)?.body;
    expect(body == "none", "the session is used where it should not be")?;

    let before = dump(&stage.redis)?;
    expect(before.len() >= 3, "sessions are not in Redis")?;
    http::get(port, Route::Write.path(), cookies)?;
    expect(dump(&stage.redis)? != before, "a write is not in Redis")?;
    let seen = visits_of(elsewhere.port(), cookies)?;
    expect(seen == 1, "a write is not seen by another server")?;
    expect(visits_of(port, cookies)? == 1, "a write is not seen")?;
    expect(visits_of(port, others)? == 0, "a write is in two sessions")?;

    let keys = stage.redis.keys()?.len();
    let new = http::get(port, Route::SignIn.path(), "")?.cookies;
    expect(
        visits_of(elsewhere.port(), &new)? == 0,
        "a new session is not seen elsewhere",
    )?;
    expect(
        stage.redis.keys()?.len() > keys,
        "a new session is not in Redis",
    )?;

    let shortest = lives(&stage.redis)?.into_iter().min();
    expect(shortest > Some(0), "there is a key without an end")?;

    if subject.rolls_at_once() {
        shorten(&stage.redis)?;
        for cookies in stage.cookies.iter().chain(&stage.cookies) {
            http::get(port, Route::Rolling.path(), cookies)?;
        }
        let longest = lives(&stage.redis)?.into_iter().max();
        expect(
            longest > Some(2 * HOUR),
            "reading does not prolong a session",
        )?;
    }
    Ok(())
}

fn expect(held: bool, otherwise: &str) -> Result<(), Problem> {
    match held {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}

/// All keys with their values.
fn dump(redis: &Redis) -> Result<Vec<Vec<u8>>, Problem> {
    let mut keys = redis.keys()?;
    keys.sort_unstable();
    let dump = |key: &String| Ok(redis.command(&["DUMP", key])?.bytes());
    keys.iter().map(dump).collect()
}

/// Leaves every key half an hour to live.
fn shorten(redis: &Redis) -> Result<(), Problem> {
    for key in redis.keys()? {
        redis.command(&["PEXPIRE", &key, &(HOUR / 2).to_string()])?;
    }
    Ok(())
}

/// How many milliseconds each key lives on.
fn lives(redis: &Redis) -> Result<Vec<i64>, Problem> {
    let life = |key: &String| Ok(redis.command(&["PTTL", key])?.number());
    redis.keys()?.iter().map(life).collect()
}
