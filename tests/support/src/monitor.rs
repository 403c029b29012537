//! `MONITOR`: the commands that clients really send.

use crate::resp::{Connection, Reply};

/// The last command of a recording.
const MARKER: &str = "end of the recording";

/// A recording of the commands that a server runs.
#[derive(Debug)]
pub struct Monitor {
    connection: Connection,
    /// Another connection to the same server, to send the marker.
    marker: Connection,
}

/// A command that a server ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whether a script ran it, rather than a client.
    pub by_script: bool,
    /// Its name and arguments, without the escapes of `MONITOR`.
    pub words: Vec<String>,
}

impl Monitor {
    pub(crate) fn start(mut connection: Connection, marker: Connection) -> Self {
        let reply = connection.command(&[b"MONITOR"]).expect("Redis replies");
        assert_eq!(reply, Reply::Status("OK".to_owned()));
        Self { connection, marker }
    }

    /// Returns the commands of clients since the recording began, each the list of its words. Commands
    /// that scripts run are not among them.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn commands(self) -> Vec<Vec<String>> {
        self.recorded()
            .into_iter()
            .filter(|command| !command.by_script)
            .map(|command| command.words)
            .collect()
    }

    /// Returns all commands since the recording began.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn recorded(self) -> Vec<Recorded> {
        self.lines().iter().map(|line| parse(line)).collect()
    }

    /// Returns the lines since the recording began, as `MONITOR` writes them.
    ///
    /// # Panics
    ///
    /// Panics if the server does not reply.
    #[must_use]
    pub fn lines(mut self) -> Vec<String> {
        // MONITOR reports commands in the order in which the server runs them, so everything before the
        // marker has been reported when the marker is.
        let marked = self.marker.command(&[b"ECHO", MARKER.as_bytes()]);
        marked.expect("Redis replies");
        let end = format!(r#""ECHO" "{MARKER}""#);
        let mut lines = Vec::new();
        loop {
            let line = self.connection.read().expect("MONITOR goes on").text();
            if line.ends_with(&end) {
                return lines;
            }
            // Probes of connections come at any time.
            if !line.contains(r#""PING" "probe "#) {
                lines.push(line);
            }
        }
    }
}

/// Parses a line such as `1700000000.000000 [0 127.0.0.1:40000] "GET" "key"`.
fn parse(line: &str) -> Recorded {
    let (source, command) = line.split_once("] ").expect("a line of MONITOR");
    let mut words = Vec::new();
    let mut word = None;
    let mut chars = command.chars();
    while let Some(char) = chars.next() {
        match (&mut word, char) {
            (None, '"') => word = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') if is_end_of_word(chars.as_str()) => words.extend(word.take()),
            (Some(text), '\\') => text.extend(chars.next().map(unescaped)),
            (Some(text), _) => text.push(char),
        }
    }
    Recorded {
        by_script: source.ends_with(" lua"),
        words,
    }
}

/// Whether a quotation mark before this ends a word. Valkey 8.1 does not escape those inside of words.
fn is_end_of_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(" \"")
}

/// The character that `MONITOR` writes as this one after a backslash.
fn unescaped(char: char) -> char {
    match char {
        'n' => '\n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_of_a_client_or_of_a_script() {
        let client =
            parse(r#"1700000000.000000 [0 127.0.0.1:40000] "SET" "a key" "\"text\"" "\"a\nb\"""#);
        assert!(!client.by_script);
        assert_eq!(client.words, ["SET", "a key", "\"text\"", "\"a\nb\""]);
        let valkey = parse(r#"1700000000.000000 [0 127.0.0.1:40000] "SET" "{"a":["b"]}" "" "NX""#);
        assert_eq!(valkey.words, ["SET", r#"{"a":["b"]}"#, "", "NX"]);
        let script = parse(r#"1700000000.000000 [0 lua] "get" "key""#);
        assert!(script.by_script);
        assert_eq!(script.words, ["get", "key"]);
    }
}
