use crate::server::{Call, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/node_check.lua");

fn rejects(server: &Server, replies: &str) -> bool {
    let script = [SCRIPT, "return rejects(ARGV[1]) == true and 1 or 0"].concat();
    let done = server.run(Call {
        script: &script,
        replies,
        args: &["other"],
        ..Call::default()
    });
    assert_eq!(done.sent, ["GET other"]);
    match done.reply.as_str() {
        "0" => false,
        "1" => true,
        other => panic!("{other}"),
    }
}

#[test]
fn a_node_rejects_the_key_of_another_one() {
    let rejected =
        "GET = { err = 'ERR Script attempted to access a non local key in a cluster node' }";
    assert!(rejects(&Server::start(), rejected));
}

#[test]
fn a_server_that_has_every_key_does_not() {
    let server = Server::start();
    assert!(!rejects(&server, ""));
    server.set("other", "non local key");
    assert!(!rejects(&server, ""));
}

#[test]
fn another_error_is_no_rejection() {
    let server = Server::start();
    for error in ["GET = { err = 'NOPERM' }", "GET = { ok = 'OK' }"] {
        assert!(!rejects(&server, error), "{error}");
    }
}
