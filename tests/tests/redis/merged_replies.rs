//! What a merged command replies is bounded: the calls that would exceed the bound are not run with the others.

use cloakroom_core::store::Updated;
use cloakroom_core::{Entries, Record, SessionId, Store};
use cloakroom_redis::{AppScript, RedisStore, ScriptReply};
use futures_util::future::join_all;
use test_support::monitor::Recorded;
use tests::records::{MINUTE, next, session};
use tests::redis::RedisServer;
use tests::topology::Cluster;

use crate::merged_commands::open;

const CALLS: usize = 40;

/// 100 KiB: three of these are more than 256 KiB.
const LENGTH: usize = 100 << 10;

/// Counts its runs, and returns 100 KiB in some form.
const FORMS: [&str; 4] = [
    "redis.call('INCR', KEYS[1]) return string.rep('x', 102400)",
    "redis.call('INCR', KEYS[1]) return { string.rep('x', 51200), string.rep('x', 51200) }",
    "redis.call('INCR', KEYS[1]) return { 1, { { string.rep('x', 102400) } } }",
    "redis.call('INCR', KEYS[1]) local list = {} for n = 1, 6400 do list[n] = n end return list",
];

fn is_script(command: &Recorded) -> bool {
    !command.by_script && command.words[0].to_uppercase().starts_with("EVAL")
}

/// How many commands with this name each script runs.
fn runs(recorded: &[Recorded], name: &str) -> Vec<usize> {
    let scripts = recorded.split(is_script).skip(1);
    let is_run = |command: &&Recorded| command.words[0].eq_ignore_ascii_case(name);
    scripts
        .map(|run| run.iter().filter(is_run).count())
        .collect()
}

#[tokio::test]
async fn calls_whose_replies_are_long_are_sent_by_themselves() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    for (number, text) in FORMS.into_iter().enumerate() {
        let script = AppScript::new(text);
        let key = |call: usize| scripts.key(&format!("{number}:{call}"));
        let run = async |call| scripts.run(&script, &[key(call)], &[]).await;
        let alone = run(0).await.expect("it is run");
        let monitor = server.monitor();
        for reply in join_all((1..=CALLS).map(run)).await {
            assert!(reply.expect("it is run") == alone, "{text}");
        }
        let runs = runs(&monitor.recorded(), "INCR");
        assert_eq!(runs.iter().sum::<usize>(), CALLS, "{text}: {runs:?}");
        // The first is sent before the others, and a script that the server does not know is sent again.
        assert_eq!(runs.iter().max(), Some(&3), "{text}: {runs:?}");
        for call in 0..=CALLS {
            let runs = server.command(&["GET", &key(call)]).text();
            assert_eq!(runs, "1", "{text}");
        }
    }
}

/// The value that is too long is the reply of one call.
#[tokio::test]
async fn short_replies_that_precede_a_long_one_are_merged() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("redis.call('INCR', KEYS[1]) return string.rep('x', ARGV[1])");
    let run = async |call: usize| {
        let length = if call == 30 { 1 << 20 } else { call };
        let keys = [scripts.key(&call.to_string())];
        let reply = scripts.run(&script, &keys, &[length.to_string()]).await;
        (length, reply.expect("it is run"))
    };
    let monitor = server.monitor();
    for (length, reply) in join_all((0..CALLS).map(run)).await {
        assert!(matches!(reply, ScriptReply::Bytes(text) if text.len() == length));
    }
    let runs = runs(&monitor.recorded(), "INCR");
    assert_eq!(runs.iter().sum::<usize>(), CALLS, "{runs:?}");
    assert!(runs.iter().any(|run| *run >= 29), "{runs:?}");
}

/// Updates large sessions from a revision that they do not have.
async fn conflicts(store: &RedisStore) {
    let sessions: Vec<(SessionId, Record)> = (0..20).map(large).collect();
    for (id, record) in &sessions {
        let created = store.create(*id, record, MINUTE).await;
        created.expect("the server responds");
    }
    let updates = sessions.iter().map(async |(id, record)| {
        let other = next(record, 1);
        store.update(*id, other.revision(), &other, MINUTE).await
    });
    for (updated, (_, record)) in join_all(updates).await.into_iter().zip(&sessions) {
        let found = updated.expect("the server responds");
        assert!(found == Updated::Conflict(record.clone()));
    }
}

fn large(number: u64) -> (SessionId, Record) {
    let (id, record) = session(number);
    let mut entries = Entries::new();
    let text = "x".repeat(LENGTH);
    entries.set("text", &text).expect("it is JSON");
    let (limits, digest) = (record.limits(), *record.digest());
    let record = Record::new(
        record.revision(),
        record.last_seen(),
        limits,
        digest,
        entries,
    );
    (id, record)
}

/// The store's own scripts reply with the session that they found.
#[tokio::test]
async fn conflicts_on_large_sessions_are_not_one_reply() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let monitor = server.monitor();
    conflicts(&store).await;
    let recorded = monitor.recorded();
    let all = runs(&recorded, "GETRANGE").into_iter();
    let runs: Vec<_> = all
        .zip(runs(&recorded, "GET"))
        .map(|(a, b)| a.max(b))
        .collect();
    assert!(runs.iter().max() <= Some(&3), "{runs:?}");
    assert!(runs.contains(&3), "{runs:?}");
}

#[tokio::test]
async fn conflicts_on_large_sessions_in_a_cluster_reach_their_callers() {
    let cluster = Cluster::start();
    conflicts(&open(cluster.url()).await).await;
}
