//! A real Redis server, which can be started, killed, suspended and inspected.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use crate::monitor::Monitor;
use crate::resp::{Connection, Reply};
use crate::{free_port, new_folder, running};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of a server's own configuration file, if it has one.
const CONFIGURATION: &str = "redis.conf";

/// The front page of the store's documentation.
const FRONT_PAGE: &str = include_str!("../../../crates/cloakroom-redis/src/lib.rs");

/// A Redis server on a free port of this machine, with its files in a folder of its own. Dropping the
/// value kills the server and removes the folder.
///
/// The program is `redis-server`, or what the environment variable `REDIS_SERVER` names (for instance
/// `valkey-server`).
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
    password: Option<String>,
}

impl RedisServer {
    /// Starts a server without persistence.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options, as on its command line.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_from(&[], || options.iter().map(|&o| o.to_owned()).collect())
    }

    /// Starts a server with these files in its folder, given by name and text; one that is named
    /// `redis.conf` is its configuration. `options` is called for every attempt, so that it can choose
    /// ports that are free.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[must_use]
    pub fn start_from(files: &[(&str, &str)], options: impl Fn() -> Vec<String>) -> Self {
        Self::prepare_and_start(options, |folder| {
            for (name, text) in files {
                fs::write(folder.join(name), text).expect("the folder can be written to");
            }
        })
    }

    /// Starts a server in a folder that `prepare` has filled.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[must_use]
    pub fn start_in(options: &[&str], prepare: impl Fn(&Path)) -> Self {
        Self::prepare_and_start(|| options.iter().map(|&o| o.to_owned()).collect(), prepare)
    }

    fn prepare_and_start(options: impl Fn() -> Vec<String>, prepare: impl Fn(&Path)) -> Self {
        let mut server = Self {
            child: None,
            port: 0,
            folder: new_folder(),
            options: Vec::new(),
            password: None,
        };
        prepare(&server.folder);
        for _ in 0..50 {
            server.port = free_port();
            server.options = options();
            if server.spawn() {
                return server;
            }
        }
        panic!("no Redis server starts: is `redis-server` installed?");
    }

    /// Starts a server whose default user has this password.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    #[must_use]
    pub fn start_with_password(password: &str) -> Self {
        let mut server = Self::start();
        // By a command, which can hold any password; a command line cannot.
        server.command(&["CONFIG", "SET", "requirepass", password]);
        server.password = Some(password.to_owned());
        server
    }

    /// Creates the user `shop` with the password `password`, the rights that the store's front page
    /// documents, word by word, and these.
    ///
    /// # Panics
    ///
    /// Panics if the page documents none, or Redis rejects them.
    pub fn add_user(&self, more_rights: &[&str]) {
        let mut lines = FRONT_PAGE.lines();
        let line = lines.find_map(|line| line.strip_prefix("//! ACL SETUSER"));
        let mut words = vec!["ACL", "SETUSER"];
        words.extend(
            line.expect("the page documents the rights")
                .split_whitespace(),
        );
        words.extend(more_rights);
        assert_eq!(self.command(&words).text(), "OK");
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id.
    ///
    /// # Panics
    ///
    /// Panics if the server was killed.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Returns the folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the URL, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command on a connection of its own, and returns the reply.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn command<W: AsRef<[u8]>>(&self, words: &[W]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        self.connect()
            .and_then(|mut connection| connection.command(&words))
            .expect("Redis replies")
    }

    /// Returns the names of all keys.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let keys = self.command(&["KEYS", "*"]).list();
        keys.into_iter().map(Reply::text).collect()
    }

    /// Returns all keys with their time to live; `None` for a key that does not expire. Keys that expire meanwhile
    /// are left out.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn keys_with_ttl(&self) -> Vec<(String, Option<Duration>)> {
        self.keys()
            .into_iter()
            .filter_map(|key| {
                let ttl = self.ttl_if_present(&key)?;
                Some((key, ttl))
            })
            .collect()
    }

    /// Returns a key's time to live; `None` if it does not expire.
    ///
    /// # Panics
    ///
    /// Panics if there is no such key.
    #[must_use]
    pub fn ttl(&self, key: &str) -> Option<Duration> {
        let ttl = self.ttl_if_present(key);
        ttl.unwrap_or_else(|| panic!("there is no key {key}"))
    }

    /// The same, or `None` if there is no such key.
    fn ttl_if_present(&self, key: &str) -> Option<Option<Duration>> {
        let millis = self.command(&["PTTL", key]).number();
        (millis != -2).then(|| u64::try_from(millis).ok().map(Duration::from_millis))
    }

    /// Records the commands that the server runs from now on.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        let connect = || self.connect().expect("Redis replies");
        Monitor::start(connect(), connect())
    }

    /// Kills the server, as `kill -9` does.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            running::remove(child.id());
            child.wait().expect("a killed child ends");
        }
    }

    /// Kills the server and starts it on the same port, without data.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn restart(&mut self) {
        self.kill();
        drop(fs::remove_file(self.folder.join("dump.rdb")));
        self.start_again();
    }

    /// Kills the server and starts it on the same port, with the data that it had.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn restart_with_data(&mut self) {
        assert_eq!(self.command(&["SAVE"]).text(), "OK");
        self.kill();
        self.start_again();
    }

    /// Suspends the server's process: connections stay open, and nothing replies.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be suspended.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Resumes a suspended server.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be resumed.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts a server that was killed, on the same port, with what it has on disk.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn start_again(&mut self) {
        assert!(self.spawn(), "Redis starts again on port {}", self.port);
        if let Some(password) = self.password.take() {
            self.command(&["CONFIG", "SET", "requirepass", &password]);
            self.password = Some(password);
        }
    }

    /// Starts the program; returns `false` if it ends before it replies, for instance because the port is
    /// taken.
    fn spawn(&mut self) -> bool {
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(&program);
        let file = self.folder.join(CONFIGURATION);
        command
            .args(file.exists().then_some(file))
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        running::add(child.id(), &self.folder);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let ended = child.try_wait().expect("a child has a status");
            if ended.is_some() {
                running::remove(child.id());
                return false;
            }
            if process_on(self.port) == Some(child.id()) {
                self.child = Some(child);
                return true;
            }
            assert!(Instant::now() < deadline, "Redis does not reply");
            sleep(Duration::from_millis(5));
        }
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port)?;
        if let Some(password) = &self.password {
            connection.command(&[b"AUTH", password.as_bytes()])?;
        }
        Ok(connection)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.process().to_string()])
            .status()
            .expect("there is a `kill`");
        assert!(status.success(), "kill -s {name}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            running::remove(child.id());
            drop(child.wait());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Kills all servers that this process has started, and removes their folders: for a program that is
/// about to end without dropping them.
pub fn kill_all() {
    running::kill_all();
}

/// Returns the id of the process that replies as Redis on a port.
fn process_on(port: u16) -> Option<u32> {
    let mut connection = Connection::open(port).ok()?;
    let info = connection.command(&[b"INFO", b"server"]).ok()?;
    let Reply::Bytes(info) = info else {
        return None; // still loading
    };
    let info = String::from_utf8(info).ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"))?;
    line.trim().parse().ok()
}
