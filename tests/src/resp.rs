//! A minimal blocking Redis client, independent of the client under test.

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
    /// Nothing.
    Nil,
    /// A list.
    List(Vec<Reply>),
}

impl Reply {
    /// The number.
    ///
    /// # Panics
    ///
    /// When it is something else.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("not a number: {other:?}"),
        }
    }

    /// The value or status, as text.
    ///
    /// # Panics
    ///
    /// When it is something else.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Status(text) => text,
            Self::Bytes(bytes) => String::from_utf8(bytes).expect("the value is text"),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The list.
    ///
    /// # Panics
    ///
    /// When it is something else.
    #[must_use]
    pub fn list(self) -> Vec<Reply> {
        match self {
            Self::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of this machine. Every read and write is bounded by five seconds.
    ///
    /// # Errors
    ///
    /// When nothing listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a command and reads the reply.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or nothing arrives in time.
    pub fn command(&mut self, words: &[&[u8]]) -> io::Result<Reply> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&out)?;
        self.read()
    }

    /// Reads one reply.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or nothing arrives in time.
    pub fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, line.to_owned());
        let number = |text: &str| text.parse::<i64>().map_err(|_| malformed());
        let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number(rest)?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let length = usize::try_from(number(rest)?).map_err(|_| malformed())?;
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Bytes(bytes)
            }
            "*" => {
                let list = (0..number(rest)?).map(|_| self.read());
                Reply::List(list.collect::<io::Result<_>>()?)
            }
            _ => return Err(malformed()),
        })
    }
}
