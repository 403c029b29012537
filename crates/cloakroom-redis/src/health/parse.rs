//! Makes a report of the reply to `INFO`.

use std::time::Duration;

use super::info::{Info, version_numbers};
use super::report::{Health, Memory, Persistence, Role, ServerKind, ServerMode};
use super::warning::{OLDEST_REDIS, Warning};

impl Health {
    /// Parses the reply to `INFO`; `None` if it is not one of Redis or Valkey.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let info = Info(text);
        let (server, version) = server_of(&info)?;
        let mut modes = ["redis_mode", "server_mode", "redict_mode"].iter();
        let mode = modes.find_map(|name| info.text(name));
        let mut health = Self {
            server,
            version: version.to_owned(),
            mode: match mode {
                Some("cluster") => ServerMode::Cluster,
                Some("sentinel") => ServerMode::Sentinel,
                _ => ServerMode::Standalone,
            },
            role: match info.text("role")? {
                "slave" | "replica" => Role::Replica,
                _ => Role::Primary,
            },
            memory: memory_of(&info),
            evicted_keys: info.number("evicted_keys"),
            expired_keys: info.number("expired_keys"),
            persistence: persistence_of(&info),
            connected_replicas: info.number("connected_slaves"),
            latency: Duration::ZERO,
            warnings: Vec::new(),
        };
        health.warnings = warnings_of(&health);
        Some(health)
    }
}

fn server_of<'a>(info: &Info<'a>) -> Option<(ServerKind, &'a str)> {
    if info.is("server_name", "valkey")
        && let Some(version) = info.text("valkey_version")
    {
        return Some((ServerKind::Valkey, version));
    }
    // Redict may report only its own version. It counts like those of Redis, from which it was forked at 7.2.
    let version = info.text("redis_version");
    let version = version.or(info.text("redict_version"));
    Some((ServerKind::Redis, version?))
}

fn memory_of(info: &Info<'_>) -> Memory {
    Memory {
        used: info.number("used_memory"),
        peak: info.number("used_memory_peak"),
        limit: Some(info.number("maxmemory")).filter(|&limit| limit > 0),
        eviction_policy: info.text("maxmemory_policy").unwrap_or_default().to_owned(),
    }
}

fn persistence_of(info: &Info<'_>) -> Persistence {
    Persistence {
        aof: info.is("aof_enabled", "1"),
        saved: info.has_saved(),
        last_save_age: info.last_save_age(),
        last_save_ok: !info.is("rdb_last_bgsave_status", "err"),
        last_aof_write_ok: !info.is("aof_last_write_status", "err")
            && !info.is("aof_last_bgrewrite_status", "err"),
    }
}

/// The warnings about a server's own state.
fn warnings_of(health: &Health) -> Vec<Warning> {
    let memory = &health.memory;
    let persistence = health.persistence;
    let evicts = ["allkeys-", "volatile-"]
        .iter()
        .any(|start| memory.eviction_policy.starts_with(start));
    let old = health.server == ServerKind::Redis && version_numbers(&health.version) < OLDEST_REDIS;
    let all = [
        (health.role == Role::Replica, Warning::Replica),
        (
            evicts && memory.limit.is_some(),
            Warning::EvictsSessions(memory.eviction_policy.clone()),
        ),
        (
            !persistence.aof && !persistence.saved,
            Warning::NotPersisted,
        ),
        (!persistence.last_save_ok, Warning::SnapshotFailed),
        (!persistence.last_aof_write_ok, Warning::AofFailed),
        (old, Warning::OldServer(health.version.clone())),
    ];
    all.into_iter()
        .filter_map(|(holds, warning)| holds.then_some(warning))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n\
        # Memory\r\nused_memory:939248\r\nused_memory_peak:940000\r\nmaxmemory:0\r\n\
        maxmemory_policy:allkeys-lru\r\n\r\n# Persistence\r\nrdb_last_bgsave_status:ok\r\n\
        rdb_last_bgsave_time_sec:-1\r\nrdb_saves:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\n\
        aof_last_bgrewrite_status:ok\r\n\r\n# Stats\r\nexpired_keys:7\r\nevicted_keys:0\r\n\r\n\
        # Replication\r\nrole:master\r\nconnected_slaves:2\r\n";

    const VALKEY: &str = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\n\
        valkey_version:8.0.1\r\nserver_mode:cluster\r\n# Memory\r\nused_memory:900\r\n\
        maxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n# Persistence\r\n\
        rdb_last_bgsave_status:err\r\nrdb_last_bgsave_time_sec:-1\r\nrdb_saves:0\r\naof_enabled:0\r\n\
        # Stats\r\nevicted_keys:3\r\n# Replication\r\nrole:slave\r\nconnected_slaves:0\r\n";

    fn read(text: &str) -> Health {
        Health::parse(text).expect("the reply of a server")
    }

    #[test]
    fn redis_is_parsed() {
        let health = read(REDIS);
        assert_eq!(health.server(), ServerKind::Redis);
        assert_eq!(health.version(), "7.0.15");
        assert_eq!(health.mode(), ServerMode::Standalone);
        assert_eq!(health.role(), Role::Primary);
        assert_eq!(
            (health.memory_used(), health.memory_peak()),
            (939_248, 940_000)
        );
        assert_eq!(health.memory_limit(), None);
        assert_eq!(health.eviction_policy(), "allkeys-lru");
        assert_eq!((health.expired_keys(), health.evicted_keys()), (7, 0));
        assert_eq!(health.connected_replicas(), 2);
        assert!(health.is_aof_on() && health.is_last_aof_write_ok() && health.is_last_save_ok());
        assert!(!health.has_saved());
        // Without a limit, the policy has no effect.
        assert_eq!(health.warnings(), []);
    }

    #[test]
    fn valkey_is_parsed() {
        let health = read(VALKEY);
        assert_eq!(health.server(), ServerKind::Valkey);
        assert_eq!(health.version(), "8.0.1");
        assert_eq!(health.mode(), ServerMode::Cluster);
        assert_eq!(health.memory_limit(), Some(1000));
        assert_eq!(
            health.warnings(),
            [
                Warning::Replica,
                Warning::EvictsSessions("volatile-ttl".to_owned()),
                Warning::NotPersisted,
                Warning::SnapshotFailed,
            ]
        );
    }

    #[test]
    fn redict_is_parsed_with_and_without_the_version_of_redis() {
        let own = REDIS.replace("redis_version:7.0.15", "redict_version:7.3.1");
        let own = own.replace("redis_mode:standalone", "redict_mode:cluster");
        let both = own.replace("# Server\r\n", "# Server\r\nredis_version:7.2.4\r\n");
        for (text, version) in [(own, "7.3.1"), (both, "7.2.4")] {
            let health = read(&text);
            assert_eq!(
                (health.server(), health.version()),
                (ServerKind::Redis, version)
            );
            assert_eq!(health.mode(), ServerMode::Cluster);
            assert_eq!(health.warnings(), []);
        }
    }

    #[test]
    fn an_old_server_causes_a_warning() {
        let old = REDIS
            .replace("7.0.15", "6.2.14")
            .replace("rdb_saves:0\r\n", "");
        let health = read(&old);
        assert_eq!(health.warnings(), [Warning::OldServer("6.2.14".to_owned())]);
        let saved = old
            .replace("aof_enabled:1", "aof_enabled:0")
            .replace("time_sec:-1", "time_sec:0");
        assert!(read(&saved).has_saved());
        for version in ["7.0.0", "7.4.1", "8.0.0", "10.0.1"] {
            assert_eq!(read(&REDIS.replace("7.0.15", version)).warnings(), []);
        }
    }

    #[test]
    fn a_snapshot_is_found_by_the_clock_if_the_count_was_reset() {
        let at = |saved: u64, up: &str| {
            read(&format!(
                "redis_version:7.0.15\nrole:master\nserver_time_usec:1000500000\n\
                 uptime_in_seconds:{up}\nrdb_last_save_time:{saved}\nrdb_saves:0\naof_enabled:0\n"
            ))
        };
        // It started at 900, which it reports as its first save.
        for saved in [0, 899, 900, 902] {
            let health = at(saved, "100");
            assert_eq!(health.warnings(), [Warning::NotPersisted]);
            assert_eq!(health.last_save_age(), None);
        }
        let health = at(903, "100");
        assert_eq!(health.warnings(), []);
        assert_eq!(health.last_save_age(), Some(Duration::from_secs(97)));
        // Clocks that went backwards, and values that are not numbers.
        assert_eq!(at(1003, "100").last_save_age(), Some(Duration::ZERO));
        for up in ["", "x", "1001", "18446744073709551615"] {
            assert!(!at(950, up).has_saved(), "{up}");
        }
    }

    #[test]
    fn a_save_that_is_running_or_has_failed_does_not_count() {
        let counted = REDIS.replace("rdb_saves:0", "rdb_saves:1");
        assert!(read(&counted).has_saved());
        assert!(!read(&counted.replace("bgsave_status:ok", "bgsave_status:err")).has_saved());
        assert!(!read(&format!("{counted}rdb_bgsave_in_progress:1\r\n")).has_saved());
    }

    #[test]
    fn every_failed_write_causes_a_warning() {
        for name in ["aof_last_write_status", "aof_last_bgrewrite_status"] {
            let failed = REDIS.replace(&format!("{name}:ok"), &format!("{name}:err"));
            assert_eq!(read(&failed).warnings(), [Warning::AofFailed]);
        }
    }

    #[test]
    fn garbage_is_rejected() {
        for text in [
            "",
            "\r\n\r\n:",
            "redis_version",
            "redis_version:\r\nrole:master",
            "redis_version:7.0.15",
            "role:master",
            "<html>502</html>",
            "\0\u{fffd}:::",
        ] {
            assert!(Health::parse(text).is_none(), "{text:?}");
        }
        let odd = "redis_version:x.y\nrole:?\nused_memory:-1\nmaxmemory:1e9\nevicted_keys:\n";
        let health = read(odd);
        assert_eq!((health.memory_used(), health.memory_limit()), (0, None));
        assert_eq!(health.warnings(), [Warning::OldServer("x.y".to_owned())]);
        for end in 0..REDIS.len() {
            drop(Health::parse(&REDIS[..end]));
        }
    }

    #[test]
    fn the_worst_values_of_a_cluster_are_kept() {
        for health in [
            read(REDIS).merge(read(VALKEY)),
            read(VALKEY).merge(read(REDIS)),
        ] {
            assert_eq!(health.version(), "7.0.15");
            assert_eq!(health.server(), ServerKind::Redis);
            assert_eq!(health.role(), Role::Replica);
            assert_eq!(health.memory_limit(), Some(1000));
            assert_eq!((health.expired_keys(), health.evicted_keys()), (7, 3));
            assert_eq!(health.connected_replicas(), 0);
            assert!(!health.is_aof_on() && !health.is_last_save_ok());
            assert_eq!(health.warnings().len(), 4);
        }
        let [new, old] = [100, 200].map(|now| {
            let clock = format!("server_time_usec:{now}000000\r\nrdb_last_save_time:90\r\n");
            read(&REDIS.replace("rdb_saves:0\r\n", &format!("rdb_saves:1\r\n{clock}")))
        });
        let oldest = Some(Duration::from_secs(110));
        assert_eq!(new.clone().merge(old.clone()).last_save_age(), oldest);
        assert_eq!(old.merge(new.clone()).last_save_age(), oldest);
        assert_eq!(new.merge(read(VALKEY)).last_save_age(), None);
        assert_eq!(read(VALKEY).merge(read(VALKEY)).warnings().len(), 4);
    }

    #[test]
    fn every_warning_is_one_line() {
        let rights = Warning::MissingRights(vec!["eval".to_owned(), "del".to_owned()]);
        assert!(rights.to_string().contains("eval, del"));
        for warning in read(VALKEY).warnings().iter().chain([&rights]) {
            let text = warning.to_string();
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        }
    }
}
