use super::publishing;
use crate::server::{Call, Server};

const SCRIPT: &str = "return publish(ARGV[1], ARGV[2]) and 'published' or 'refused'";

#[test]
fn it_says_whether_the_event_was_published() {
    let server = Server::start();
    for (replies, reply) in [
        ("", "published"),
        ("PUBLISH = { err = 'NOPERM' }", "refused"),
    ] {
        let done = server.run(Call {
            script: &publishing(SCRIPT),
            replies,
            args: &["events", "created"],
            ..Call::default()
        });
        assert_eq!(done.reply, reply);
        assert_eq!(done.sent, ["PUBLISH events created"]);
    }
}
