//! `index_add.lua`: the index of a user.

mod earlier;
mod entries;
mod limits;
mod stale;

use crate::server::{Call, Done, Server};

pub(super) const SCRIPT: &str =
    include_str!("../../../../../crates/cloakroom-redis/src/scripts/index_add.lua");

/// The current time in the tests.
const NOW: u64 = 1_700_000_000_000;
/// How long after its deadline an entry is stale.
const STALE: u64 = 300_000;
/// How long a sign-in may take to end the sessions that it evicts.
const LEASE: u64 = 10_000;

/// An id of this time. Its end decides whether adding it removes stale entries: with 8 it does.
fn id(millis: u64, end: u64) -> String {
    format!(
        "{:08x}-{:04x}-7000-8000-{end:012}",
        millis >> 16,
        millis & 0xffff
    )
}

/// The score of an id with this deadline.
fn score(created: u64, deadline: u64) -> u64 {
    let seconds = deadline.saturating_sub(created).div_ceil(1000);
    let mut seconds = seconds.clamp(64, 1 << 37);
    let mut exponent = 0;
    while seconds >= 128 {
        seconds = seconds.div_ceil(2);
        exponent += 1;
    }
    created * 2048 + exponent * 64 + seconds - 64
}

/// What an id is added with.
#[derive(Clone, Copy, Debug)]
struct Add<'a> {
    id: &'a str,
    deadline: u64,
    limit: u32,
    evicts: bool,
    replaces: &'a str,
    removed: &'a [&'a str],
    setup: &'a str,
    replies: &'a str,
}

impl Default for Add<'_> {
    fn default() -> Self {
        Self {
            id: "",
            deadline: NOW + 3_600_000,
            limit: 0,
            evicts: true,
            replaces: "",
            removed: &[],
            setup: "",
            replies: "",
        }
    }
}

fn add(server: &Server, add: Add<'_>) -> Done {
    let numbers = [NOW, add.deadline, STALE, LEASE].map(|number| number.to_string());
    let (limit, removed) = (add.limit.to_string(), add.removed.len().to_string());
    let evicts = if add.evicts { "1" } else { "0" };
    let [now, deadline, stale, lease] = &numbers;
    let mut args: Vec<&str> = vec![now, add.id, deadline, &limit, evicts, add.replaces];
    args.extend([stale.as_str(), lease, &removed]);
    args.extend(add.removed);
    server.run(Call {
        script: SCRIPT,
        setup: add.setup,
        replies: add.replies,
        keys: &["index"],
        args: &args,
    })
}

/// Adds members with their scores to the index.
fn store(server: &Server, members: &[(String, i64)]) {
    for chunk in members.chunks(500) {
        let members: Vec<String> = chunk
            .iter()
            .map(|(member, score)| format!("{score} {member}"))
            .collect();
        server.command(&format!("ZADD index {}", members.join(" ")));
    }
}

/// Sessions of the last hours, oldest first: `count` ids with their scores.
fn sessions(count: u64) -> Vec<(String, i64)> {
    let session = |number| {
        let created = NOW - 7_200_000 + number;
        let score = score(created, NOW + 3_600_000);
        (id(created, 1), i64::try_from(score).expect("it is small"))
    };
    (0..count).map(session).collect()
}

fn score_of(server: &Server, member: &str) -> String {
    server.command(&format!("ZSCORE index {member}"))
}

/// The reply of an index that is not full.
fn added(evicted: &[&str], sample: &[&str]) -> String {
    format!("[1, [{}], [{}]]", evicted.join(", "), sample.join(", "))
}
