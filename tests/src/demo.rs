//! The demo, as its users start it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};

use crate::client::Client;
use crate::program;

/// A running demo on a free port. It ends on drop.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    url: String,
    /// Reads what it logs, to the end.
    log: Option<JoinHandle<String>>,
}

impl Demo {
    /// Starts it on the memory store.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it on a Redis, with generous time limits.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_on(redis: &str) -> Self {
        Self::start_with(&["--redis", redis, "--store-timeout", "20s"])
    }

    /// Starts it with options, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        let mut child = command(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut stderr = child.stderr.take().expect("it is piped");
        let log = thread::spawn(move || {
            let mut log = String::new();
            drop(stderr.read_to_string(&mut log));
            log
        });
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.strip_prefix("Open ")?.to_owned()));
        Self {
            child,
            log: Some(log),
            url: url.expect("the demo prints its URL"),
        }
    }

    /// Runs it with options with which it exits by itself.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    #[must_use]
    pub fn run(options: &[&str]) -> Output {
        command(options).output().expect("the demo runs")
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client without a cookie.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Asks it to end, with SIGTERM.
    ///
    /// # Panics
    ///
    /// When it cannot be asked.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(status.expect("there is a `kill`").success());
    }

    /// Waits until it has ended, and returns what it logged.
    ///
    /// # Panics
    ///
    /// When it cannot be waited for.
    #[must_use]
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("a child ends");
        let log = self.log.take().and_then(|log| log.join().ok());
        (status, log.unwrap_or_default())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(options: &[&str]) -> Command {
    let mut command = program::command("demo");
    // An option cannot be given twice.
    if !options.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(options);
    command
}
