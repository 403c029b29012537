use crate::server::{Call, Done, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-cache/src/scripts/write.lua");

fn write(server: &Server, ttl: &str) -> Done {
    server.set("record", "another");
    let done = server.run(Call {
        script: SCRIPT,
        keys: &["record"],
        args: &[ttl, "the record", "channel", "the message"],
        ..Call::default()
    });
    assert_eq!(done.reply, "1");
    assert_eq!(done.sent("PUBLISH"), ["PUBLISH channel the message"]);
    done
}

#[test]
fn a_record_is_replaced_and_the_servers_informed() {
    let server = Server::start();
    write(&server, "90000");
    assert_eq!(server.get("record"), "the record");
    assert!(server.lives_for("record", 90_000));
    assert_eq!(
        write(&server, "1").sent("SET"),
        ["SET record the record PX 1"]
    );
}

#[test]
fn without_a_ttl_it_is_removed() {
    let server = Server::start();
    assert_eq!(write(&server, "0").sent("SET"), [""; 0]);
    assert_eq!(server.get("record"), "nil");
}
