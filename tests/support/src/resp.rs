//! A plain, blocking client for Redis. It is not the client that Cloakroom uses, since a test must not
//! look at the store through the code that it tests.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A reply of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Status(String),
    /// An error.
    Error(String),
    /// A number.
    Number(i64),
    /// A value.
    Bytes(Vec<u8>),
    /// No value.
    Nil,
    /// A list.
    List(Vec<Reply>),
}

impl Reply {
    /// Returns the number.
    ///
    /// # Panics
    ///
    /// Panics if the reply is something else.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("not a number: {other:?}"),
        }
    }

    /// Returns the value or status as text.
    ///
    /// # Panics
    ///
    /// Panics if the reply is something else.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Status(text) => text,
            Self::Bytes(bytes) => String::from_utf8(bytes).expect("the value is text"),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// Returns the value.
    ///
    /// # Panics
    ///
    /// Panics if the reply is something else.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("not a value: {other:?}"),
        }
    }

    /// Returns the list.
    ///
    /// # Panics
    ///
    /// Panics if the reply is something else.
    #[must_use]
    pub fn list(self) -> Vec<Reply> {
        match self {
            Self::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }
}

/// Returns the text of a command, as it is sent.
#[must_use]
pub fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of this machine. Every read and write is limited to five seconds.
    ///
    /// # Errors
    ///
    /// Fails if nothing listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a command and reads its reply.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, or nothing comes in time.
    pub fn command(&mut self, words: &[&[u8]]) -> io::Result<Reply> {
        self.write(&encode(words))?;
        self.read()
    }

    /// Sends the text of commands, without waiting for a reply.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost.
    pub fn write(&mut self, commands: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(commands)
    }

    /// Reads one reply.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost, or nothing comes in time.
    pub fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, line.to_owned());
        let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
        let (kind, rest) = line.split_at_checked(1).ok_or_else(invalid)?;
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number(rest)?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let length = usize::try_from(number(rest)?).map_err(|_| invalid())?;
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Bytes(bytes)
            }
            "*" => {
                let list = (0..number(rest)?).map(|_| self.read());
                Reply::List(list.collect::<io::Result<_>>()?)
            }
            _ => return Err(invalid()),
        })
    }
}
