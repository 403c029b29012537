use crate::server::{Call, Server};

const SCRIPT: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/batch_publish.lua");

#[test]
fn events_are_collected_by_channel() {
    let server = Server::start();
    let calls = "
        current = 1
        local first = publish('a', 'one')
        current = 2
        publish('a', 'two')
        publish('b', 'three')
        return { first and 1 or 0, events.a, events.b, publishing[1], publishing[2] }
    ";
    let done = server.run(Call {
        script: &[SCRIPT, calls].concat(),
        ..Call::default()
    });
    assert_eq!(done.reply, "[1, [one, two], [three], a, b]");
    assert_eq!(done.sent, [""; 0]);
}
