//! A real Redis server for one test, which can be killed, frozen and inspected.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, io, net, process};

use crate::monitor::Monitor;
use crate::resp::{Connection, Reply};

/// How long a server may take to respond, or to exit.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of a server's own configuration, if it has one.
const CONFIGURATION: &str = "redis.conf";

/// The documentation that lists the rights of a Redis user.
const FRONT_PAGE: &str = include_str!("../../crates/cloakroom-redis/src/lib.rs");

/// A Redis server on a free port of this machine, with its files in a temporary folder; both are removed
/// on drop. The program is `redis-server`, or what the environment
/// variable `REDIS_SERVER` names (for instance `valkey-server`).
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
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options, as on its command line.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_from(&[], || options.iter().map(|&o| o.to_owned()).collect())
    }

    /// Starts a server with files in its folder; one named `redis.conf` is its configuration. `options` is
    /// called at every attempt, so that it can pick free ports.
    pub(crate) fn start_from(files: &[(&str, &str)], options: impl Fn() -> Vec<String>) -> Self {
        Self::prepare_and_start(options, |folder| {
            for (name, text) in files {
                fs::write(folder.join(name), text).expect("the folder can be written to");
            }
        })
    }

    /// Starts a server in a folder that `prepare` has filled.
    pub(crate) fn start_in(options: &[&str], prepare: impl Fn(&Path)) -> Self {
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

    /// Starts a server with a password for its default user.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with_password(password: &str) -> Self {
        let mut server = Self::start();
        // Not on the command line, where special characters would need quoting.
        server.command(&["CONFIG", "SET", "requirepass", password]);
        server.password = Some(password.to_owned());
        server
    }

    /// Creates the user `shop`, with the password `password`, the rights that the store's documentation
    /// lists, word for word, and these.
    ///
    /// # Panics
    ///
    /// When the documentation lists none, or Redis rejects them.
    pub fn add_user(&self, more_rights: &[&str]) {
        let mut lines = FRONT_PAGE.lines();
        let line = lines.find_map(|line| line.strip_prefix("//! ACL SETUSER"));
        let mut words = vec!["ACL", "SETUSER"];
        words.extend(line.expect("a line of the page").split_whitespace());
        words.extend(more_rights);
        assert_eq!(self.command(&words).text(), "OK");
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command on a new connection, and returns the reply.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn command<W: AsRef<[u8]>>(&self, words: &[W]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        self.connect()
            .and_then(|mut connection| connection.command(&words))
            .expect("Redis responds")
    }

    /// All keys and their TTL; `None` for a key without one.
    ///
    /// # Panics
    ///
    /// When the server does not respond.
    #[must_use]
    pub fn keys_with_ttl(&self) -> Vec<(String, Option<Duration>)> {
        let keys = self.command(&["KEYS", "*"]).list();
        keys.into_iter()
            .map(|key| {
                let key = key.text();
                let ttl = self.ttl(&key);
                (key, ttl)
            })
            .collect()
    }

    /// The TTL of a key; `None` if it has none.
    ///
    /// # Panics
    ///
    /// When there is no such key.
    #[must_use]
    pub fn ttl(&self, key: &str) -> Option<Duration> {
        let millis = self.command(&["PTTL", key]).number();
        assert_ne!(millis, -2, "there is no key {key}");
        u64::try_from(millis).ok().map(Duration::from_millis)
    }

    /// Records the commands that clients send from now on.
    ///
    /// # Panics
    ///
    /// When the server does not respond.
    #[must_use]
    pub fn monitor(&self) -> Monitor<'_> {
        Monitor::start(self, self.connect().expect("Redis responds"))
    }

    /// Kills the server, as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
        }
    }

    /// Kills the server and starts it on the same port, empty.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        drop(fs::remove_file(self.folder.join("dump.rdb")));
        self.start_again();
    }

    /// Saves a snapshot, kills the server, and starts it on the same port with its data.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart_with_data(&mut self) {
        assert_eq!(self.command(&["SAVE"]).text(), "OK");
        self.kill();
        self.start_again();
    }

    /// Stops the server's process with SIGSTOP: connections stay open, and nothing responds.
    ///
    /// # Panics
    ///
    /// When it cannot be stopped.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Continues a frozen server.
    ///
    /// # Panics
    ///
    /// When it cannot be sent the signal.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts a killed server on the same port, with its files.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_again(&mut self) {
        assert!(self.spawn(), "Redis starts again on port {}", self.port);
        if let Some(password) = self.password.take() {
            self.command(&["CONFIG", "SET", "requirepass", &password]);
            self.password = Some(password);
        }
    }

    /// Starts the program; `false` if it exits before it responds, for instance because the port is taken.
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
        let deadline = Instant::now() + PATIENCE;
        let responds = loop {
            if child.try_wait().expect("a child can be asked").is_some() {
                break false;
            }
            if process_on(self.port) == Some(child.id()) {
                break true;
            }
            assert!(Instant::now() < deadline, "Redis does not respond");
            sleep(Duration::from_millis(5));
        };
        self.child = Some(child);
        responds
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port)?;
        if let Some(password) = &self.password {
            connection.command(&[b"AUTH", password.as_bytes()])?;
        }
        Ok(connection)
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let status = Command::new("kill")
            .args(["-s", name, &child.id().to_string()])
            .status()
            .expect("there is a `kill`");
        assert!(status.success(), "kill -s {name}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The process id of the Redis that responds on a port.
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

/// A free port, below the range of ephemeral ports: an outgoing connection must not take it while a
/// server is down.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries may run concurrently: each starts at another port.
    let start = process::id().wrapping_mul(977) % u32::from(COUNT);
    let start = u16::try_from(start).expect("it is less than a u16");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("cloakroom-redis-{}-{number}", process::id());
    let folder = Path::new(&env::temp_dir()).join(name);
    fs::create_dir_all(&folder).expect("the temporary folder can be written to");
    folder
}
