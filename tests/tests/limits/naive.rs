//! The faults of simple limiters, each next to what this crate does.

use std::time::Duration;

use cloakroom_limit::Rate;
use tests::redis::RedisServer;

use crate::setup::{LONG, limiter, limits};

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_incr_and_expire_blocks_a_key_for_ever_and_ours_has_no_such_moment() {
    let server = RedisServer::start();
    // A server that has crashed between the two commands: nothing ever sets the TTL, because it is set only
    // when `INCR` returns 1.
    server.command(&["INCR", "naive:ada"]);
    server.command(&["INCR", "naive:ada"]);
    assert_eq!(server.ttl("naive:ada"), None, "it lives for ever");

    let limits = limits(&server.url()).await;
    let monitor = server.monitor();
    let minute = Duration::from_secs(60);
    let rates = [
        Rate::new("gcra", 5, minute),
        Rate::fixed_window("window", 5, minute),
    ];
    let limiter = limiter(&limits, rates);
    for _ in 0..7 {
        let _ = limiter.check("ada", 1).await;
    }
    let commands = monitor.recorded().into_iter();
    let by_scripts = commands.filter(|command| command.by_script);
    let mut writes = 0;
    for command in by_scripts {
        let words: Vec<_> = command
            .words
            .iter()
            .map(|word| word.to_uppercase())
            .collect();
        match words[0].as_str() {
            "SET" => {
                assert_eq!(words[3], "PX", "the value and its TTL are one command");
                writes += 1;
            }
            name => assert!(["GET", "PTTL"].contains(&name), "{name}"),
        }
    }
    assert_eq!(writes, 2 * 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_before_writing_lets_parallel_requests_through_and_ours_does_not() {
    let server = RedisServer::start();
    // Ten requests read before any of them has counted itself.
    let read = || server.command(&["GET", "naive:ada"]) == tests::resp::Reply::Nil;
    let allowed = (0..10).filter(|_| read()).count();
    server.command(&["INCRBY", "naive:ada", "10"]);
    assert_eq!(allowed, 10, "of a limit of one");

    let limiter = limiter(&limits(&server.url()).await, [Rate::new("one", 1, LONG)]);
    let checks = (0..10).map(|_| limiter.check("ada", 1));
    let decisions = futures_util::future::join_all(checks).await;
    let allowed = decisions.iter().filter(|decision| decision.is_allowed());
    assert_eq!(allowed.count(), 1);
}
