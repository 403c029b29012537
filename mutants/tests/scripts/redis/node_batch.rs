use super::function;
use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/node_batch.lua");

fn run(server: &Server, other: &str, replies: &str) -> Done {
    // In place of batch.lua.
    let batch = function("batch", "return { KEYS, ARGV }\n");
    server.run(Call {
        script: &(batch + SCRIPT),
        replies,
        keys: &["first"],
        args: &[other, "the calls", "second", "third"],
        ..Call::default()
    })
}

const BATCH: &str = "[[first, second, third], [the calls]]";

#[test]
fn without_a_check_the_calls_are_run() {
    let done = run(&Server::start(), "", "");
    assert_eq!((done.reply.as_str(), done.sent.len()), (BATCH, 0));
}

#[test]
fn a_node_that_rejects_the_key_of_another_one_runs_them() {
    let server = Server::start();
    let rejected =
        "GET = { err = 'ERR Script attempted to access a non local key in a cluster node' }";
    assert_eq!(run(&server, "other", rejected).reply, BATCH);
}

#[test]
fn a_server_that_has_every_key_runs_nothing() {
    let server = Server::start();
    assert_eq!(run(&server, "other", "").reply, "0");
    server.set("other", "non local key");
    assert_eq!(run(&server, "other", "").reply, "0");
    for error in ["GET = { err = 'NOPERM' }", "GET = { ok = 'OK' }"] {
        assert_eq!(run(&server, "other", error).reply, "0", "{error}");
    }
}
