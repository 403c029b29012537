//! Scripts of other crates: merged as the store's own are, each caller with its own result; and their messages.

use std::time::Duration;

use cloakroom_redis::{AppMessage, AppScript, AppScripts, RedisStore, ScriptReply};
use futures_util::future::join_all;
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;

use crate::merged_commands::open;

const LIMIT: Duration = Duration::from_secs(20);

/// Adds to a number; fails for a text.
fn adder() -> AppScript {
    AppScript::new("return redis.call('INCRBY', KEYS[1], ARGV[1])")
}

/// Adds 1 to 150 to a number each, at once, with a text as the seventh, and checks every reply.
async fn add_many(store: &RedisStore, script: &AppScript) {
    let scripts = store.app_scripts();
    let keys: Vec<_> = (1..=150)
        .map(|key| scripts.key(&format!("number:{key}")))
        .collect();
    let set = AppScript::new("return redis.call('SET', KEYS[1], 'text')");
    let text = scripts.run(&set, &keys[6..7], &[]).await;
    assert!(matches!(text, Ok(ScriptReply::Bytes(_))), "{text:?}");
    let calls = (1_i64..).zip(&keys).map(|(number, key)| {
        let scripts = scripts.clone();
        async move {
            let keys = [key.clone()];
            (
                number,
                scripts.run(script, &keys, &[number.to_string()]).await,
            )
        }
    });
    for (number, reply) in join_all(calls).await {
        match reply {
            Ok(reply) => assert_eq!(reply, ScriptReply::Integer(number)),
            Err(_) => assert_eq!(number, 7, "only a text cannot be added to"),
        }
    }
}

fn scripts_in(commands: &[Vec<String>]) -> usize {
    let names = commands.iter().map(|words| words[0].to_uppercase());
    names.filter(|name| name.starts_with("EVAL")).count()
}

#[tokio::test]
async fn concurrent_calls_of_one_script_are_one_command() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let script = adder();
    add_many(&store, &script).await;
    server.command(&["FLUSHALL"]);
    let monitor = server.monitor();
    add_many(&store, &script).await;
    let commands = monitor.commands();
    // One to prepare, the first by itself, and batches of up to 64.
    let sent = scripts_in(&commands);
    assert!(sent <= 8, "{sent} commands: {commands:?}");
}

/// Each call gets the reply of its own script.
#[tokio::test]
async fn calls_of_different_scripts_are_merged_by_script() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let double = AppScript::new("return 2 * ARGV[1]");
    let text = AppScript::new("return 'x' .. ARGV[1] -- a comment");
    let list = AppScript::new("return { tonumber(ARGV[1]), false, 'y' }");
    let run = async || {
        let calls = (0_i64..90).map(|number| {
            let script = [&double, &text, &list][usize::try_from(number % 3).unwrap()];
            let keys = [scripts.key(&number.to_string())];
            let scripts = &scripts;
            async move {
                scripts
                    .run(script, &keys, &[number.to_string()])
                    .await
                    .unwrap()
            }
        });
        for (number, reply) in (0_i64..).zip(join_all(calls).await) {
            let bytes = |text: String| ScriptReply::Bytes(text.into());
            let expected = match number % 3 {
                0 => ScriptReply::Integer(2 * number),
                1 => bytes(format!("x{number}")),
                _ => ScriptReply::List(vec![
                    ScriptReply::Integer(number),
                    ScriptReply::Nothing,
                    bytes("y".to_owned()),
                ]),
            };
            assert_eq!(reply, expected, "{number}");
        }
    };
    run().await;
    let monitor = server.monitor();
    run().await;
    let commands = monitor.commands();
    let sent = scripts_in(&commands);
    assert!(sent <= 8, "{sent} commands: {commands:?}");
}

#[tokio::test]
async fn long_calls_are_sent_by_themselves() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("return #ARGV[1]");
    let call = |length: usize| {
        let (scripts, script) = (scripts.clone(), script.clone());
        let keys = [scripts.key("long")];
        async move {
            scripts
                .run(&script, &keys, &["x".repeat(length)])
                .await
                .unwrap()
        }
    };
    call(1).await;
    let monitor = server.monitor();
    let replies = join_all((0..10).map(|_| call(16 << 10))).await;
    assert_eq!(replies, vec![ScriptReply::Integer(16 << 10); 10]);
    assert_eq!(scripts_in(&monitor.commands()), 10);
}

/// The list of replies does not end at a call that returns nothing.
#[tokio::test]
async fn calls_that_return_nothing_are_merged() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let texts = [
        "redis.call('INCR', KEYS[1])",
        "redis.call('INCR', KEYS[1]) return nil",
        "redis.call('INCR', KEYS[1]) return false",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let script = AppScript::new(text);
        let key = |call: usize| scripts.key(&format!("{number}:{call}"));
        let run = async |call| scripts.run(&script, &[key(call)], &[]).await;
        join_all((0..3).map(run)).await;
        let monitor = server.monitor();
        for reply in join_all((3..33).map(run)).await {
            assert_eq!(reply.expect("it is run"), ScriptReply::Nothing, "{text}");
        }
        let sent = scripts_in(&monitor.commands());
        assert!(sent <= 3, "{sent} commands for {text}");
        for call in 0..33 {
            let runs = server.command(&["GET", &key(call)]).text();
            assert_eq!(runs, "1", "{text}");
        }
    }
}

#[tokio::test]
async fn calls_without_keys_are_merged() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("return #KEYS .. ARGV[1]");
    let run = async |call: usize| scripts.run(&script, &[], &[call.to_string()]).await;
    run(0).await.expect("it is run");
    let monitor = server.monitor();
    for (call, reply) in join_all((0..30).map(run)).await.into_iter().enumerate() {
        let expected = ScriptReply::Bytes(format!("0{call}").into());
        assert_eq!(reply.expect("it is run"), expected);
    }
    let sent = scripts_in(&monitor.commands());
    assert!(sent <= 3, "{sent} commands");
}

/// A text with flags is no body of a function.
#[tokio::test]
async fn scripts_with_flags_are_not_merged() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let scripts = store.app_scripts();
    for text in ["#!lua\nreturn 7", "#!lua flags=no-writes\nreturn 7"] {
        let script = AppScript::new(text);
        let run = async |call: usize| {
            let keys = [scripts.key(&call.to_string())];
            scripts.run(&script, &keys, &[]).await
        };
        for reply in join_all((0..10).map(run)).await {
            assert_eq!(reply.expect("it is run"), ScriptReply::Integer(7), "{text}");
        }
    }
}

#[tokio::test]
async fn concurrent_calls_get_their_replies_in_a_cluster() {
    let cluster = Cluster::start();
    add_many(&open(cluster.url()).await, &adder()).await;
}

/// As is documented: each is one command, although all keys are on one node.
#[tokio::test]
async fn concurrent_calls_in_a_cluster_are_not_merged() {
    const CALLS: usize = 30;
    let cluster = Cluster::start();
    let store = open(cluster.url()).await;
    let scripts = store.app_scripts();
    let script = adder();
    let run = async |call: usize| {
        let keys = [scripts.key(&format!("{{numbers}}:{call}"))];
        scripts.run(&script, &keys, &["1".to_owned()]).await
    };
    run(0).await.expect("it is run");
    let monitors: Vec<_> = cluster
        .primaries()
        .iter()
        .map(RedisServer::monitor)
        .collect();
    for reply in join_all((1..=CALLS).map(run)).await {
        assert_eq!(reply.expect("it is run"), ScriptReply::Integer(1));
    }
    let sent = monitors
        .into_iter()
        .map(|monitor| scripts_in(&monitor.commands()));
    assert_eq!(sent.sum::<usize>(), CALLS);
}

/// What a script publishes reaches the servers that subscribe to its topic, and no others.
#[tokio::test]
async fn messages_reach_the_subscriptions_of_their_topic() {
    let server = RedisServer::start();
    let (here, there) = (open(server.url()).await, open(server.url()).await);
    let scripts = here.app_scripts();
    let mut messages = there.app_scripts().subscribe("numbers");
    let mut others = there.app_scripts().subscribe("letters");
    let publish = AppScript::new("return redis.call('PUBLISH', ARGV[1], ARGV[2])");
    let missed = tokio::time::timeout(LIMIT, messages.next()).await;
    assert_eq!(missed.expect("it begins"), Some(AppMessage::Missed));
    assert_eq!(others.next().await, Some(AppMessage::Missed));
    for (topic, text) in [("numbers", "1 2"), ("letters", "a"), ("numbers", "3")] {
        let args = [
            scripts.channel().to_owned(),
            AppScripts::message(topic, text),
        ];
        let keys = [scripts.key("unused")];
        scripts
            .run(&publish, &keys, &args)
            .await
            .expect("it is published");
    }
    let text = |text: &str| Some(AppMessage::Text(text.to_owned()));
    assert_eq!(messages.next().await, text("1 2"));
    assert_eq!(messages.next().await, text("3"));
    assert_eq!(others.next().await, text("a"));
}

#[tokio::test]
async fn a_subscription_learns_that_its_connection_was_lost() {
    let mut server = RedisServer::start();
    let store = open(server.url()).await;
    let mut messages = store.app_scripts().subscribe("numbers");
    assert_eq!(messages.next().await, Some(AppMessage::Missed));
    // Each time the server numbers its connections from 1 again, so the new one often has the number of the old one.
    for restart in 1..=5 {
        server.restart();
        let again = tokio::time::timeout(LIMIT, messages.next()).await;
        let again = again.unwrap_or_else(|_| panic!("restart {restart} is not found out"));
        assert_eq!(again, Some(AppMessage::Missed));
    }
    within("Redis is used again", LIMIT, async || {
        store.app_scripts().get("x").await.is_ok()
    })
    .await;
}
