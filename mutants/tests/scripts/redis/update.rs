use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/update.lua");
const START_1: &str = "c1 0123456789abcdef ";
const START_2: &str = "c2 0123456789a";

fn update(server: &Server) -> Done {
    server.run(Call {
        script: SCRIPT,
        keys: &["session"],
        args: &[START_1, "the new record", "90000", START_2],
        ..Call::default()
    })
}

#[test]
fn a_record_of_either_format_is_replaced() {
    let server = Server::start();
    for start in [START_1, START_2] {
        server.set("session", &format!("{start}and more that is in the record"));
        assert_eq!(update(&server).reply, "1");
        assert_eq!(server.get("session"), "the new record");
        assert!(server.lives_for("session", 90_000));
    }
}

#[test]
fn another_record_is_returned_and_stays() {
    let server = Server::start();
    for other in ["c1 0123456789abcdeX and", "c2 0123456789X and more", "t1 "] {
        server.set("session", other);
        assert_eq!(update(&server).reply, other);
        assert_eq!(server.get("session"), other);
        assert!(server.lives_for("session", 60_000));
    }
}

#[test]
fn nothing_is_created() {
    let server = Server::start();
    assert_eq!(update(&server).reply, "0");
    assert_eq!(server.get("session"), "nil");
}
