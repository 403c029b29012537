//! Faults of a single server.

use std::time::{Duration, Instant};

use super::{FAULT_DURATION, Load, Loss, Outcome, block_in_place, sleep};
use crate::redis::{RedisServer, free_port};
use crate::resp::Reply;
use crate::topology::{info_has, wait_for};

/// Syncs every acknowledged write to disk.
const KEEPS_ALL: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Killed, and restarted with its data on disk.
pub async fn killed_with_data() -> Outcome {
    let mut server = block_in_place(|| RedisServer::start_with(&KEEPS_ALL));
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| server.kill());
    sleep(FAULT_DURATION).await;
    block_in_place(|| server.start_again());
    load.fault_ends("killed, restarted with its data", Loss::Nothing)
        .await
}

/// Killed, and restarted empty.
pub async fn killed_and_empty() -> Outcome {
    let mut server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| server.kill());
    sleep(FAULT_DURATION).await;
    block_in_place(|| server.restart());
    load.fault_ends("killed, restarted empty", Loss::All).await
}

/// Stopped and continued: it then executes what it was sent meanwhile.
pub async fn frozen() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| server.freeze());
    sleep(FAULT_DURATION * 2).await;
    block_in_place(|| server.thaw());
    load.fault_ends("hung, then continued", Loss::Nothing).await
}

/// All connections closed by the server, again and again.
pub async fn clients_killed() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    for _ in 0..15 {
        block_in_place(|| server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]));
        sleep(FAULT_DURATION / 15).await;
    }
    load.fault_ends("CLIENT KILL, 15 times", Loss::Nothing)
        .await
}

/// All scripts flushed, again and again. No request should be affected.
pub async fn scripts_flushed() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start_patient(&server.url()).await;
    load.fault_starts();
    let began = Instant::now();
    while began.elapsed() < FAULT_DURATION {
        block_in_place(|| server.command(&["SCRIPT", "FLUSH"]));
        sleep(Duration::from_millis(2)).await;
    }
    load.fault_ends("SCRIPT FLUSH, continuously", Loss::Nothing)
        .await
        .unnoticed()
}

/// The right to run scripts is withdrawn, and given back. Reads and sign-outs without a change still work.
pub async fn scripts_forbidden() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    let set = |rights: &[&str]| {
        let words = [&["ACL", "SETUSER", "default"], rights].concat();
        block_in_place(|| server.command(&words));
    };
    load.allow_refusals();
    load.fault_starts();
    set(&["-eval", "-evalsha"]);
    sleep(FAULT_DURATION).await;
    set(&["+eval", "+evalsha"]);
    load.fault_ends("no right to run scripts", Loss::Nothing)
        .await
}

/// A server in cluster mode that has all slots, behind a plain URL. No request should be affected: it is found out
/// when connecting, and every command has one key.
///
/// # Panics
///
/// When it does not become a cluster.
pub async fn cluster_mode_behind_plain_url() -> Outcome {
    let server = block_in_place(|| {
        let server = RedisServer::start_from(&[], || {
            let bus = free_port().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            options.map(str::to_owned).into()
        });
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        wait_for("a complete cluster", || {
            let info = server.command(&["CLUSTER", "INFO"]).text();
            info.contains("cluster_state:ok")
        });
        server
    });
    let load = Load::start_patient(&server.url()).await;
    load.fault_starts();
    sleep(FAULT_DURATION).await;
    load.fault_ends("cluster mode behind a plain URL", Loss::Nothing)
        .await
        .unnoticed()
}

/// Every session deleted directly in Redis.
pub async fn keys_deleted() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    for _ in 0..5 {
        block_in_place(|| {
            let mut words = vec!["DEL".to_owned()];
            let keys = server.command(&["KEYS", "cloakroom:*"]).list();
            words.extend(keys.into_iter().map(Reply::text));
            server.command(&words);
        });
        sleep(FAULT_DURATION / 5).await;
    }
    load.fault_ends("all keys deleted, 5 times", Loss::All)
        .await
}

/// `maxmemory` is reached.
pub async fn memory_full() -> Outcome {
    let server = block_in_place(|| RedisServer::start_with(&["--maxmemory-policy", "noeviction"]));
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| server.command(&["CONFIG", "SET", "maxmemory", "1"]));
    sleep(FAULT_DURATION).await;
    block_in_place(|| server.command(&["CONFIG", "SET", "maxmemory", "0"]));
    load.fault_ends("memory full (noeviction)", Loss::Nothing)
        .await
}

/// Demoted to a replica of a missing primary, and promoted again.
pub async fn read_only() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| server.command(&["REPLICAOF", "127.0.0.1", "1"]));
    sleep(FAULT_DURATION).await;
    block_in_place(|| server.command(&["REPLICAOF", "NO", "ONE"]));
    load.fault_ends("temporarily a replica (READONLY)", Loss::Nothing)
        .await
}

/// Restarted with a file that takes long to load.
///
/// # Panics
///
/// When it has loaded the file at once.
pub async fn loading() -> Outcome {
    // It responds while loading, after every 1024 commands; each takes 700 µs to load.
    let delay = [
        "--key-load-delay",
        "700",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let options = [&KEEPS_ALL[..], &delay[..]].concat();
    let mut server = block_in_place(|| RedisServer::start_with(&options));
    let load = Load::start(&server.url()).await;
    block_in_place(|| {
        let script = "for i = 1, 4000 do
            redis.call('SET', 'other:' .. i, string.rep('x', 100), 'PX', 60000)
        end";
        server.command(&["EVAL", script, "0"]);
    });
    load.fault_starts();
    block_in_place(|| {
        server.kill();
        server.start_again();
        assert!(
            info_has(&server, "persistence", "loading:1"),
            "it is loading still"
        );
        wait_for("all to be loaded", || {
            info_has(&server, "persistence", "loading:0")
        });
    });
    load.fault_ends("restarted, LOADING for a long time", Loss::Nothing)
        .await
}
