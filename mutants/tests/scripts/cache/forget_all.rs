use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-cache/src/scripts/forget_all.lua");
const NOW: u64 = 1_700_000_000_123;

fn forget_all(server: &Server) -> Done {
    server.run(Call {
        script: SCRIPT,
        replies: "TIME = { '1700000000', '123999' }",
        keys: &["generation"],
        args: &["90000", "channel", "the message"],
        ..Call::default()
    })
}

#[test]
fn the_generation_is_the_time() {
    let server = Server::start();
    let done = forget_all(&server);
    assert_eq!(done.reply, NOW.to_string());
    assert_eq!(server.get("generation"), NOW.to_string());
    assert!(server.lives_for("generation", 90_000));
    assert_eq!(done.sent("PUBLISH"), ["PUBLISH channel the message"]);
}

#[test]
fn it_is_later_than_any_earlier_one() {
    let server = Server::start();
    for (before, after) in [
        (NOW - 5, NOW),
        (NOW - 1, NOW),
        (NOW, NOW + 1),
        (NOW + 7, NOW + 8),
    ] {
        server.set("generation", &before.to_string());
        assert_eq!(forget_all(&server).reply, after.to_string());
        assert_eq!(server.get("generation"), after.to_string());
    }
    server.set("generation", "something");
    assert_eq!(forget_all(&server).reply, NOW.to_string());
}
