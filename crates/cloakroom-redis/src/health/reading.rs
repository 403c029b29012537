//! Reading what `INFO` answers: lines of `name:value`, in sections. Redis 7.0 and Valkey 8 differ in
//! names; what a server does not tell counts as nothing wrong.

use std::time::Duration;

use super::{Health, Memory, Persistence, Role, ServerKind, ServerMode, warning};

impl Health {
    /// Reads the answer to `INFO`; `None` if a server of this kind cannot have written it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let told = Told(text);
        let valkey = told.is("server_name", "valkey");
        let (server, version) = match told.text("valkey_version").filter(|_| valkey) {
            Some(version) => (ServerKind::Valkey, version),
            None => (ServerKind::Redis, told.text("redis_version")?),
        };
        let mode = told.text("redis_mode").or(told.text("server_mode"));
        let mut health = Self {
            server,
            version: version.to_owned(),
            mode: match mode {
                Some("cluster") => ServerMode::Cluster,
                Some("sentinel") => ServerMode::Sentinel,
                _ => ServerMode::Standalone,
            },
            role: match told.text("role")? {
                "slave" | "replica" => Role::Replica,
                _ => Role::Primary,
            },
            memory: Memory {
                used: told.number("used_memory"),
                peak: told.number("used_memory_peak"),
                limit: Some(told.number("maxmemory")).filter(|&limit| limit > 0),
                eviction_policy: told.text("maxmemory_policy").unwrap_or_default().to_owned(),
            },
            evicted_keys: told.number("evicted_keys"),
            expired_keys: told.number("expired_keys"),
            persistence: Persistence {
                aof: told.is("aof_enabled", "1"),
                saved: told.saved(),
                last_save_age: told.last_save_age(),
                last_save_ok: !told.is("rdb_last_bgsave_status", "err"),
                last_aof_write_ok: !told.is("aof_last_write_status", "err")
                    && !told.is("aof_last_bgrewrite_status", "err"),
            },
            connected_replicas: told.number("connected_slaves"),
            latency: Duration::ZERO,
            warnings: Vec::new(),
        };
        health.warnings = warning::of(&health);
        Some(health)
    }
}

/// The answer to `INFO`.
pub(crate) struct Told<'a>(pub(crate) &'a str);

impl<'a> Told<'a> {
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == Some(value)
    }

    /// What is no number counts as 0.
    fn number(&self, name: &str) -> u64 {
        let number = self.text(name).and_then(|value| value.parse().ok());
        number.unwrap_or(0)
    }

    /// Whether a snapshot was saved since the server started.
    fn saved(&self) -> bool {
        self.saved_after_its_start() || self.counts_a_save()
    }

    /// By the clock, which only a save that succeeded moves. A server gives the moment of its start as
    /// its first save, in whole seconds: a save in the first two is not told apart.
    fn saved_after_its_start(&self) -> bool {
        let up = self.text("uptime_in_seconds");
        let up = up.and_then(|seconds| seconds.parse().ok());
        let start = up.and_then(|seconds| self.seconds_now().checked_sub(seconds));
        start.is_some_and(|start| self.number("rdb_last_save_time") > start.saturating_add(2))
    }

    /// By the count, which begins again at `CONFIG RESETSTAT`, and has saves in it that are under way
    /// or have failed. Redis counts since 7.0; before, it tells how long the last save took, or -1. A
    /// server that tells neither is not blamed.
    fn counts_a_save(&self) -> bool {
        let count = self.text("rdb_saves");
        let begun = match (count, self.text("rdb_last_bgsave_time_sec")) {
            (Some(count), _) => count != "0",
            (None, Some(seconds)) => seconds != "-1",
            (None, None) => return true,
        };
        let over = !self.is("rdb_bgsave_in_progress", "1");
        begun && over && !self.is("rdb_last_bgsave_status", "err")
    }

    /// How long ago the last snapshot was saved; `None` if none was, and where it is not told.
    fn last_save_age(&self) -> Option<Duration> {
        let (now, saved) = (self.seconds_now(), self.number("rdb_last_save_time"));
        let told = self.saved() && now > 0 && saved > 0;
        told.then(|| Duration::from_secs(now.saturating_sub(saved)))
    }

    /// The server's clock, in seconds since 1970; 0 where it is not told.
    fn seconds_now(&self) -> u64 {
        self.number("server_time_usec") / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Warning;

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
        Health::read(text).expect("a server's account")
    }

    #[test]
    fn redis_is_read() {
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
        // Without a limit, no policy does anything.
        assert_eq!(health.warnings(), []);
    }

    #[test]
    fn valkey_is_read() {
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
    fn an_old_server_is_told() {
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
    fn a_snapshot_is_told_by_the_clock_where_the_count_was_set_back() {
        let at = |saved: u64, up: &str| {
            read(&format!(
                "redis_version:7.0.15\nrole:master\nserver_time_usec:1000500000\n\
                 uptime_in_seconds:{up}\nrdb_last_save_time:{saved}\nrdb_saves:0\naof_enabled:0\n"
            ))
        };
        // It started at 900, which it tells as its first save.
        for saved in [0, 899, 900, 902] {
            let health = at(saved, "100");
            assert_eq!(health.warnings(), [Warning::NotPersisted]);
            assert_eq!(health.last_save_age(), None);
        }
        let health = at(903, "100");
        assert_eq!(health.warnings(), []);
        assert_eq!(health.last_save_age(), Some(Duration::from_secs(97)));
        // Clocks that went backwards, and what is no number.
        assert_eq!(at(1003, "100").last_save_age(), Some(Duration::ZERO));
        for up in ["", "x", "1001", "18446744073709551615"] {
            assert!(!at(950, up).has_saved(), "{up}");
        }
    }

    #[test]
    fn a_save_that_is_counted_but_under_way_or_failed_is_none() {
        let counted = REDIS.replace("rdb_saves:0", "rdb_saves:1");
        assert!(read(&counted).has_saved());
        assert!(!read(&counted.replace("bgsave_status:ok", "bgsave_status:err")).has_saved());
        assert!(!read(&format!("{counted}rdb_bgsave_in_progress:1\r\n")).has_saved());
    }

    #[test]
    fn every_failed_write_is_told() {
        for name in ["aof_last_write_status", "aof_last_bgrewrite_status"] {
            let failed = REDIS.replace(&format!("{name}:ok"), &format!("{name}:err"));
            assert_eq!(read(&failed).warnings(), [Warning::AofFailed]);
        }
    }

    #[test]
    fn garbage_is_no_account_and_does_no_harm() {
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
            assert!(Health::read(text).is_none(), "{text:?}");
        }
        let odd = "redis_version:x.y\nrole:?\nused_memory:-1\nmaxmemory:1e9\nevicted_keys:\n";
        let health = read(odd);
        assert_eq!((health.memory_used(), health.memory_limit()), (0, None));
        assert_eq!(health.warnings(), [Warning::OldServer("x.y".to_owned())]);
        for end in 0..REDIS.len() {
            drop(Health::read(&REDIS[..end]));
        }
    }

    #[test]
    fn the_worst_of_a_cluster_is_kept() {
        for health in [
            read(REDIS).joined(read(VALKEY)),
            read(VALKEY).joined(read(REDIS)),
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
        assert_eq!(new.clone().joined(old.clone()).last_save_age(), oldest);
        assert_eq!(old.joined(new.clone()).last_save_age(), oldest);
        assert_eq!(new.joined(read(VALKEY)).last_save_age(), None);
        assert_eq!(read(VALKEY).joined(read(VALKEY)).warnings().len(), 4);
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
