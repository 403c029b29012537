//! A Redis of one's own for each subject, and what it tells of its work.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, net, process};

use super::leftovers;
use super::resp::{Connection, Reply};
use crate::Problem;

/// Microseconds, by the command's name.
pub(super) type Work = BTreeMap<String, f64>;

/// A Redis on a free port with files in a folder of its own, both gone when it is dropped.
#[derive(Debug)]
pub(super) struct Redis {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Redis {
    pub(super) fn start() -> Result<Self, Problem> {
        for _ in 0..20 {
            let mut redis = Self::spawn()?;
            if redis.answers()? {
                return Ok(redis);
            }
        }
        Err("no Redis starts".into())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn connect(&self) -> Result<Connection, Problem> {
        Connection::open(self.port)
    }

    /// Sends a command on a connection of its own.
    pub(super) fn command(&self, words: &[&str]) -> Result<Reply, Problem> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.connect()?.command(&words)
    }

    /// The names of all keys.
    pub(super) fn keys(&self) -> Result<Vec<String>, Problem> {
        let keys = self.command(&["KEYS", "*"])?.list();
        Ok(keys.iter().map(Reply::text).collect())
    }

    /// The microseconds that the server has spent so far in each command.
    pub(super) fn work(&self) -> Result<Work, Problem> {
        let info = self.command(&["INFO", "commandstats"])?.text();
        let lines = info.lines().filter_map(|line| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let mut figures = figures.split(',');
            let spent = figures.find_map(|figure| figure.strip_prefix("usec="))?;
            Some((name.to_lowercase(), spent.parse().ok()?))
        });
        Ok(lines.collect())
    }

    fn spawn() -> Result<Self, Problem> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("cloakroom-bench-{}-{number}", process::id()));
        fs::create_dir_all(&folder)?;
        let port = net::TcpListener::bind(("127.0.0.1", 0))?
            .local_addr()?
            .port();
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        leftovers::started(child.id(), &folder);
        Ok(Self {
            child,
            port,
            folder,
        })
    }

    /// Waits until it answers; `false` if it ends before that, as when the port is taken.
    fn answers(&mut self) -> Result<bool, Problem> {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            let own = format!("process_id:{}\r", self.process());
            if let Ok(info) = self.command(&["INFO", "server"]) {
                return Ok(info.text().contains(&own));
            }
            sleep(Duration::from_millis(5));
        }
        Err("Redis does not answer".into())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        // Its number is its own until it was waited for.
        leftovers::ended(self.process());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}
