use super::{REJECTS, function};
use crate::server::{Call, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/node_batch.lua");

fn run(server: &Server, other: &str) -> String {
    // In place of batch.lua.
    let batch = function("batch", "return { KEYS, ARGV }\n");
    let keys = rmp_serde::to_vec(&["first", "second", "third"]).expect("it can be encoded");
    let call = Call {
        script: &[REJECTS, &batch, SCRIPT].concat(),
        keys: &["first"],
        args: &[other],
        ..Call::default()
    };
    server.run_bytes(call, &[&keys, b"the calls"]).reply
}

const BATCH: &str = "[[first, second, third], [the calls]]";

#[test]
fn without_a_check_the_calls_are_run() {
    assert_eq!(run(&Server::start(), ""), BATCH);
}

#[test]
fn a_node_that_rejects_the_key_of_another_one_runs_them() {
    assert_eq!(run(&Server::start(), "rejected"), BATCH);
}

#[test]
fn a_server_that_has_every_key_runs_nothing() {
    assert_eq!(run(&Server::start(), "other"), "0");
}
