//! One server, and what may happen to it.

use std::time::{Duration, Instant};

use super::{Loss, Ordeal, Outcome, WHILE, aside, sleep};
use crate::redis::RedisServer;
use crate::resp::Reply;
use crate::topology::{tells, wait_for};

/// Keeps every answered write on disk.
const KEEPS_ALL: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Killed, and started again with what it had on disk.
pub async fn killed_with_data() -> Outcome {
    let mut server = aside(|| RedisServer::start_with(&KEEPS_ALL));
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    aside(|| server.kill());
    sleep(WHILE).await;
    aside(|| server.start_again());
    load.passes("killed, back with its data", Loss::Nothing)
        .await
}

/// Killed, and started again empty.
pub async fn killed_and_empty() -> Outcome {
    let mut server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    aside(|| server.kill());
    sleep(WHILE).await;
    aside(|| server.restart());
    load.passes("killed, back empty", Loss::All).await
}

/// Stopped and continued: it then carries out what it was sent meanwhile.
pub async fn frozen() -> Outcome {
    let server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    aside(|| server.freeze());
    sleep(WHILE * 2).await;
    aside(|| server.thaw());
    load.passes("frozen and thawed", Loss::Nothing).await
}

/// All connections closed by the server, again and again.
pub async fn clients_killed() -> Outcome {
    let server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    for _ in 0..15 {
        aside(|| server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]));
        sleep(WHILE / 15).await;
    }
    load.passes("CLIENT KILL, 15 times", Loss::Nothing).await
}

/// All scripts forgotten, again and again. Nobody should notice.
pub async fn a_script_unknown() -> Outcome {
    let server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    let began = Instant::now();
    while began.elapsed() < WHILE {
        aside(|| server.command(&["SCRIPT", "FLUSH"]));
        sleep(Duration::from_millis(2)).await;
    }
    load.passes("SCRIPT FLUSH, all the time", Loss::Nothing)
        .await
        .unnoticed()
}

/// Every session deleted behind the app's back.
pub async fn keys_deleted() -> Outcome {
    let server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    for _ in 0..5 {
        aside(|| {
            let mut words = vec!["DEL".to_owned()];
            let keys = server.command(&["KEYS", "cloakroom:*"]).list();
            words.extend(keys.into_iter().map(Reply::text));
            server.command(&words);
        });
        sleep(WHILE / 5).await;
    }
    load.passes("all keys deleted, 5 times", Loss::All).await
}

/// No memory for new data.
pub async fn memory_full() -> Outcome {
    let server = aside(|| RedisServer::start_with(&["--maxmemory-policy", "noeviction"]));
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    aside(|| server.command(&["CONFIG", "SET", "maxmemory", "1"]));
    sleep(WHILE).await;
    aside(|| server.command(&["CONFIG", "SET", "maxmemory", "0"]));
    load.passes("memory full (noeviction)", Loss::Nothing).await
}

/// Demoted to a replica, of a primary that is not there, and promoted again.
pub async fn read_only() -> Outcome {
    let server = aside(RedisServer::start);
    let load = Ordeal::begin(&server.url()).await;
    load.strikes();
    aside(|| server.command(&["REPLICAOF", "127.0.0.1", "1"]));
    sleep(WHILE).await;
    aside(|| server.command(&["REPLICAOF", "NO", "ONE"]));
    load.passes("a replica for a while (READONLY)", Loss::Nothing)
        .await
}

/// Started again with a file that takes long to load.
///
/// # Panics
///
/// When it has loaded the file at once.
pub async fn loading() -> Outcome {
    // Answers between keys, each of which takes so many microseconds to load.
    let delay = [
        "--key-load-delay",
        "2000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let options = [&KEEPS_ALL[..], &delay[..]].concat();
    let mut server = aside(|| RedisServer::start_with(&options));
    let load = Ordeal::begin(&server.url()).await;
    aside(|| {
        for number in 0..1000 {
            let key = format!("other:{number}");
            server.command(&["SET", &key, &"x".repeat(100), "PX", "60000"]);
        }
    });
    load.strikes();
    aside(|| {
        server.kill();
        server.start_again();
        assert!(
            tells(&server, "persistence", "loading:1"),
            "it is loading still"
        );
        wait_for("all to be loaded", || {
            tells(&server, "persistence", "loading:0")
        });
    });
    load.passes("restarted, LOADING for long", Loss::Nothing)
        .await
}
