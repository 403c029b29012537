use super::REJECTS;
use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/node_get.lua");

/// How long values may be until the next ones are not read.
const LIMIT: usize = 256 * 1024;

fn run(server: &Server, other: &str, keys: &[&str]) -> Done {
    let packed = rmp_serde::to_vec(keys).expect("it can be encoded");
    let call = Call {
        script: &[REJECTS, SCRIPT].concat(),
        keys: &keys[..1],
        args: &[other],
        ..Call::default()
    };
    server.run_bytes(call, &[&packed])
}

#[test]
fn each_key_has_its_value() {
    let server = Server::start();
    server.set("a", "one");
    server.set("c", "two");
    for other in ["", "rejected"] {
        let done = run(&server, other, &["a", "b", "c"]);
        assert_eq!(done.reply, "[one, nil, two]");
        assert_eq!(done.sent, ["GET a", "GET b", "GET c"]);
    }
}

#[test]
fn a_server_that_has_every_key_reads_nothing() {
    let server = Server::start();
    server.set("a", "one");
    let done = run(&server, "other", &["a", "b"]);
    assert_eq!(done.reply, "0");
    assert!(done.sent.is_empty());
}

#[test]
fn an_error_is_that_of_its_key_alone() {
    let server = Server::start();
    server.set("a", "one");
    server.command("SADD b member");
    server.set("c", "two");
    assert_eq!(run(&server, "", &["a", "b", "c"]).reply, "[one, 0, two]");
    assert_eq!(run(&server, "", &["b", "a"]).reply, "[0, one]");
}

#[test]
fn what_follows_long_values_is_not_read() {
    let server = Server::start();
    let is_read_after = |sizes: &[usize]| {
        let mut keys: Vec<String> = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            keys.push(format!("key-{number}"));
            server.set(&keys[number], &"x".repeat(*size));
        }
        server.set("last", "one");
        keys.push("last".to_owned());
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let reply = run(&server, "", &keys).reply;
        assert!(reply.ends_with(", one]") || reply.ends_with(", 0]"));
        reply.ends_with(", one]")
    };
    assert!(is_read_after(&[LIMIT]));
    assert!(!is_read_after(&[LIMIT + 1]));
    assert!(is_read_after(&[LIMIT / 2, LIMIT / 2]));
    assert!(!is_read_after(&[LIMIT / 2, LIMIT / 2, 1]));
}
