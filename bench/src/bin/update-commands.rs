//! Measures what Redis needs for an update, by the command that carries it out: the script, several of them merged, or
//! `SET … IFEQ` where the server has it.
//!
//! `cargo run --release --bin update-commands` prints a table; `REDIS_SERVER` chooses the server. The time is the CPU time
//! of the server's process, with reading and writing its socket.

use std::io::{Write, stdout};

use test_support::redis::RedisServer;
use test_support::resp::{Connection, Reply, encode};

/// The script of the store.
const UPDATE: &str = include_str!("../../../crates/cloakroom-redis/src/scripts/update.lua");

/// How many sessions there are.
const SESSIONS: usize = 1000;

/// How many updates are averaged in a round, and how many rounds there are.
const UPDATES: usize = 16_000;
const ROUNDS: usize = 7;

/// The length of a record with five entries, in format 2.
const RECORD_LEN: usize = 220;

/// How many updates arrive together.
const TOGETHER: [usize; 4] = [1, 2, 4, 16];

/// How updates that arrive together are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `update.lua`, one after the other in one packet.
    Script,
    /// `update.lua`, each in a packet of its own.
    ScriptApart,
    /// All of them as one script.
    Merged,
    /// All of them as one script, which compares with `IFEQ`.
    MergedNative,
    /// `SET … IFEQ … GET`, one after the other in one packet.
    Native,
    /// The same, each in a packet of its own.
    NativeApart,
}

impl Way {
    const ALL: [(Self, &str); 6] = [
        (Self::Script, "`update.lua`, one packet"),
        (Self::ScriptApart, "`update.lua`, a packet each"),
        (Self::Merged, "merged into one script"),
        (Self::MergedNative, "merged, comparing with `IFEQ`"),
        (Self::Native, "`SET IFEQ GET`, one packet"),
        (Self::NativeApart, "`SET IFEQ GET`, a packet each"),
    ];

    fn is_native(self) -> bool {
        matches!(self, Self::MergedNative | Self::Native | Self::NativeApart)
    }
}

/// A server, a connection, and the records that are stored.
struct Bench {
    server: RedisServer,
    connection: Connection,
    update: String,
    batch: String,
    native_batch: String,
    records: Vec<String>,
    revision: u64,
}

fn main() {
    let mut bench = Bench::new();
    let has_native = bench.has_native();
    let ways = Way::ALL.into_iter();
    let ways: Vec<_> = ways
        .filter(|(way, _)| has_native || !way.is_native())
        .collect();
    let mut samples = vec![vec![Vec::new(); TOGETHER.len()]; ways.len()];
    for _ in 0..ROUNDS {
        for (column, &together) in TOGETHER.iter().enumerate() {
            for (row, (way, _)) in ways.iter().enumerate() {
                samples[row][column].push(bench.measure(*way, together));
            }
        }
    }
    let mut table = format!("CPU of {} in µs per update\n\n", bench.version());
    let header: String = TOGETHER
        .map(|number| format!(" {number} together |"))
        .concat();
    table += &format!("| |{header}\n|---|{}\n", "---|".repeat(TOGETHER.len()));
    for ((_, title), row) in ways.iter().zip(&mut samples) {
        let cells = row.iter_mut().map(|cell| {
            cell.sort_by(f64::total_cmp);
            format!(
                " {:.1} ({:.1} to {:.1}) |",
                cell[ROUNDS / 2],
                cell[0],
                cell[ROUNDS - 1]
            )
        });
        table += &format!("| {title} |{}\n", cells.collect::<String>());
    }
    stdout()
        .write_all(table.as_bytes())
        .expect("the output is open");
}

impl Bench {
    fn new() -> Self {
        let server = RedisServer::start();
        let mut connection = Connection::open(server.port()).expect("it is running");
        let native = "if redis.call('SET', KEYS[1], ARGV[2], 'IFEQ', ARGV[1], 'PX', ARGV[3]) then return 1 end\n\
                      return redis.call('GET', KEYS[1]) or 0";
        let [update, batch, native_batch] =
            [UPDATE.to_owned(), batch(UPDATE), batch(native)].map(|text| {
                let reply = connection.command(&[b"SCRIPT", b"LOAD", text.as_bytes()]);
                reply.expect("Redis replies").text()
            });
        let records: Vec<_> = (0..SESSIONS).map(|_| record(0)).collect();
        for (number, record) in records.iter().enumerate() {
            server.command(&["SET", &key(number), record]);
        }
        Self {
            server,
            connection,
            update,
            batch,
            native_batch,
            records,
            revision: 0,
        }
    }

    /// A probe that never creates a key.
    fn has_native(&self) -> bool {
        let reply = self
            .server
            .command(&["SET", "probe", "x", "IFEQ", "y", "PX", "1"]);
        reply == Reply::Nil
    }

    fn version(&self) -> String {
        let info = self.server.command(&["INFO", "server"]).text();
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        let redis = line("redis_version:").unwrap_or_default();
        line("valkey_version:").map_or_else(
            || format!("Redis {redis}"),
            |version| format!("Valkey {version}"),
        )
    }

    /// The CPU time of the server in µs per update.
    fn measure(&mut self, way: Way, together: usize) -> f64 {
        let before = self.cpu();
        for turn in 0..UPDATES / together {
            let sessions: Vec<_> = (0..together)
                .map(|place| (turn * together + place) % SESSIONS)
                .collect();
            self.update(way, &sessions);
        }
        (self.cpu() - before) * 1e6 / UPDATES as f64
    }

    fn update(&mut self, way: Way, sessions: &[usize]) {
        self.revision += 1;
        let next = record(self.revision);
        let packets: Vec<Vec<u8>> = match way {
            Way::Merged | Way::MergedNative => vec![self.merged(way, sessions, &next)],
            _ => sessions
                .iter()
                .map(|session| self.single(way, *session, &next))
                .collect(),
        };
        let packets = match way {
            Way::Script | Way::Native => vec![packets.concat()],
            _ => packets,
        };
        for packet in packets {
            self.connection.write(&packet).expect("Redis reads");
        }
        let mut read = || self.connection.read().expect("Redis replies");
        match way {
            Way::Merged | Way::MergedNative => {
                assert_eq!(usize::try_from(read().number()), Ok(sessions.len()));
            }
            Way::Script | Way::ScriptApart => {
                assert!(sessions.iter().all(|_| read() == Reply::Number(1)));
            }
            Way::Native | Way::NativeApart => {
                assert!(
                    sessions
                        .iter()
                        .all(|session| read().text() == self.records[*session])
                );
            }
        }
        for session in sessions {
            self.records[*session].clone_from(&next);
        }
    }

    /// One update.
    fn single(&self, way: Way, session: usize, next: &str) -> Vec<u8> {
        let (key, old) = (key(session), &self.records[session]);
        let words = match way {
            Way::Native | Way::NativeApart => {
                vec!["SET", &key, next, "IFEQ", old, "GET", "PX", "86400000"]
            }
            _ => vec![
                "EVALSHA",
                &self.update,
                "1",
                &key,
                HEAD_V1,
                next,
                "86400000",
                &old[..14],
            ],
        };
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        encode(&words)
    }

    /// Several updates as one call of `batch.lua`.
    fn merged(&self, way: Way, sessions: &[usize], next: &str) -> Vec<u8> {
        let mut calls = vec![
            0xdc,
            0,
            u8::try_from(sessions.len()).expect("there are few"),
        ];
        for session in sessions {
            let old = &*self.records[*session];
            calls.extend([0x93, 0xa6]);
            calls.extend(b"update");
            calls.push(1);
            let args = match way {
                Way::MergedNative => vec![old, next, "86400000"],
                _ => vec![HEAD_V1, next, "86400000", &old[..14]],
            };
            calls.push(0x90 + u8::try_from(args.len()).expect("there are few"));
            for arg in args {
                calls.extend([0xd9, u8::try_from(arg.len()).expect("it is short")]);
                calls.extend(arg.as_bytes());
            }
        }
        let keys: Vec<_> = sessions.iter().map(|session| key(*session)).collect();
        let count = keys.len().to_string();
        let script = if way == Way::Merged {
            &self.batch
        } else {
            &self.native_batch
        };
        let mut words = vec![b"EVALSHA".as_slice(), script.as_bytes(), count.as_bytes()];
        words.extend(keys.iter().map(|key| key.as_bytes()));
        words.push(&calls);
        encode(&words)
    }

    /// The CPU time that the server has used so far, in seconds.
    fn cpu(&self) -> f64 {
        let info = self.server.command(&["INFO", "cpu"]).text();
        let value = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok())
                .expect("Redis reports it")
        };
        value("used_cpu_sys:") + value("used_cpu_user:")
    }
}

/// The start of a record in format 1, which no record here has.
const HEAD_V1: &str = "c1 000000000000000a ";

/// The script that runs several calls of this one.
fn batch(update: &str) -> String {
    let start = include_str!("../../../crates/cloakroom-redis/src/scripts/batch_publish.lua");
    let end = include_str!("../../../crates/cloakroom-redis/src/scripts/batch.lua");
    format!(
        "{start}local scripts = {{}}\nscripts['update'] = function(KEYS, ARGV)\n{update}\nend\n{end}"
    )
}

fn key(session: usize) -> String {
    format!("cloakroom:0191e0c4-8f2a-7c3e-9b1d-{session:012x}")
}

/// A text that starts like a record of this revision in format 2, and is as long.
fn record(revision: u64) -> String {
    let mut record = format!("c2 {revision:011}");
    record.push_str(&"x".repeat(RECORD_LEN - record.len()));
    record
}
