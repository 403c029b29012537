//! Records with MONITOR what clients send to a server.

use crate::redis::RedisServer;
use crate::resp::{Connection, Reply};

/// Records what clients send to a server.
#[derive(Debug)]
pub struct Monitor<'a> {
    server: &'a RedisServer,
    connection: Connection,
}

impl<'a> Monitor<'a> {
    pub(crate) fn start(server: &'a RedisServer, mut connection: Connection) -> Self {
        let reply = connection.command(&[b"MONITOR"]).expect("Redis responds");
        assert_eq!(reply, Reply::Status("OK".to_owned()));
        Self { server, connection }
    }

    /// The commands since the start, without those of scripts: each as the list of its words, unquoted.
    ///
    /// # Panics
    ///
    /// When the server does not respond.
    #[must_use]
    pub fn commands(self) -> Vec<Vec<String>> {
        self.lines()
            .into_iter()
            .filter(|line| !line.contains(" lua] "))
            .map(|line| words(&line))
            .collect()
    }

    /// The lines since the start, as MONITOR writes them.
    ///
    /// # Panics
    ///
    /// When the server does not respond.
    #[must_use]
    pub fn lines(mut self) -> Vec<String> {
        // MONITOR shows commands in the order of their execution: all before the marker are shown.
        self.server.command(&["ECHO", "that was all"]);
        let mut lines = Vec::new();
        loop {
            let line = self.connection.read().expect("MONITOR goes on").text();
            if line.ends_with(r#""ECHO" "that was all""#) {
                return lines;
            }
            lines.push(line);
        }
    }
}

/// The quoted words of a line of MONITOR.
fn words(line: &str) -> Vec<String> {
    let (_, command) = line.split_once("] ").expect("a line of MONITOR");
    let mut words = Vec::new();
    let mut word = None;
    let mut signs = command.chars();
    while let Some(sign) = signs.next() {
        match (&mut word, sign) {
            (None, '"') => word = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => words.extend(word.take()),
            (Some(text), '\\') => text.extend(signs.next()),
            (Some(text), _) => text.push(sign),
        }
    }
    words
}
