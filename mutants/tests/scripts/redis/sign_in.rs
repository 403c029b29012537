use super::{function, publishing};
use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/sign_in.lua");
const INDEX_PUT: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/index_put.lua");
const CREATE: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/create.lua");

fn sign_in(server: &Server) -> Done {
    let functions = [function("index_put", INDEX_PUT), function("create", CREATE)].concat();
    server.run(Call {
        script: &publishing(&(functions + SCRIPT)),
        keys: &["index", "session"],
        args: &[
            "3000000000000000",
            "id",
            "90000",
            "the record",
            "80000",
            "events",
            "created",
        ],
        ..Call::default()
    })
}

#[test]
fn a_session_is_indexed_stored_and_published() {
    let server = Server::start();
    let done = sign_in(&server);
    assert_eq!(done.reply, "1");
    assert_eq!(server.command("ZSCORE index id"), "3000000000000000");
    assert_eq!(server.get("session"), "the record");
    assert!(server.lives_for("index", 90_000) && server.lives_for("session", 80_000));
    assert_eq!(done.sent("PUBLISH"), ["PUBLISH events created"]);
}

#[test]
fn a_stored_session_stays() {
    let server = Server::start();
    server.set("session", "another");
    assert_eq!(sign_in(&server).reply, "0");
    assert_eq!(server.get("session"), "another");
}

#[test]
fn an_index_of_an_earlier_version_stops_it() {
    let server = Server::start();
    server.command("ZADD index 5 id");
    assert_eq!(sign_in(&server).reply, "3");
    assert_eq!(server.get("session"), "nil");
    assert_eq!(server.command("ZSCORE index id"), "5");
}
