//! A plain, blocking client for Redis: what one looks with must not be what one looks at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Problem;

/// A connection to Redis.
#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

/// What Redis answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Number(i64),
    Nil,
    List(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(bytes) => bytes,
            _ => Vec::new(),
        }
    }

    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            _ => 0,
        }
    }

    pub(super) fn list(self) -> Vec<Reply> {
        match self {
            Self::List(list) => list,
            _ => Vec::new(),
        }
    }
}

impl Connection {
    pub(super) fn open(port: u16) -> Result<Self, Problem> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn command(&mut self, words: &[&[u8]]) -> Result<Reply, Problem> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&out)?;
        self.read()
    }

    /// Reads one answer.
    pub(super) fn read(&mut self) -> Result<Reply, Problem> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or("an empty answer")?;
        match kind {
            "+" => Ok(Reply::Text(rest.as_bytes().to_vec())),
            ":" => Ok(Reply::Number(rest.parse()?)),
            "$" => self.bytes(rest.parse()?),
            "*" => (0..rest.parse::<i64>()?)
                .map(|_| self.read())
                .collect::<Result<_, _>>()
                .map(Reply::List),
            _ => Err(format!("Redis says {line}").into()),
        }
    }

    fn line(&mut self) -> Result<String, Problem> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("Redis has closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: i64) -> Result<Reply, Problem> {
        let Ok(length) = usize::try_from(length) else {
            return Ok(Reply::Nil);
        };
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Reply::Text(bytes))
    }
}
