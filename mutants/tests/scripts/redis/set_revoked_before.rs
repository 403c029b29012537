use crate::server::{Call, Done, Server};

const SCRIPT: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/set_revoked_before.lua");

/// Sets the time to 1700000000123 + 1000 ms; a later one may be later by 5000 ms.
fn set(server: &Server) -> Done {
    server.run(Call {
        script: SCRIPT,
        replies: "TIME = { '1700000000', '123999' }",
        keys: &["key"],
        args: &["1000", "90000", "5000"],
        ..Call::default()
    })
}

#[test]
fn the_time_is_that_of_the_server() {
    let server = Server::start();
    assert_eq!(set(&server).reply, "1700000001123");
    assert_eq!(server.get("key"), "1700000001123");
    assert!(server.lives_for("key", 90_000));
}

#[test]
fn a_later_time_stays_unless_it_is_from_a_wrong_clock() {
    let server = Server::start();
    for (before, after) in [
        ("1700000001122", "1700000001123"),
        ("1700000001123", "1700000001123"),
        ("1700000001124", "1700000001124"),
        ("1700000006123", "1700000006123"),
        ("1700000006124", "1700000001123"),
        ("not a number", "1700000001123"),
    ] {
        server.set("key", before);
        let done = set(&server);
        assert_eq!(
            (done.reply.as_str(), server.get("key").as_str()),
            (after, after)
        );
        let is_in_range = ("1700000001123"..="1700000006123").contains(&before);
        assert_eq!(done.has_written_nothing(), is_in_range, "{before}");
    }
}
