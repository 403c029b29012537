//! A plain, blocking browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Problem;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: String,
    /// The cookies that it set, as they are sent back.
    pub(super) cookies: String,
}

/// Somebody with a connection, and cookies that never change.
#[derive(Debug)]
pub(super) struct Visitor {
    stream: BufReader<TcpStream>,
    cookies: String,
    /// What was asked for last.
    path: String,
}

/// Sends a request on a connection of its own.
pub(super) fn get(port: u16, path: &str, cookies: &str) -> Result<Answer, Problem> {
    Visitor::open(port, cookies)?.get(path)
}

impl Visitor {
    pub(super) fn open(port: u16, cookies: &str) -> Result<Self, Problem> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            cookies: match cookies {
                "" => String::new(),
                cookies => format!("Cookie: {cookies}\r\n"),
            },
            path: String::new(),
        })
    }

    /// Sends a request and waits for its answer, which must be a success.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer, Problem> {
        self.send(path)?;
        self.receive()
    }

    pub(super) fn send(&mut self, path: &str) -> Result<(), Problem> {
        path.clone_into(&mut self.path);
        let cookies = &self.cookies;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookies}\r\n");
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    pub(super) fn receive(&mut self) -> Result<Answer, Problem> {
        let status = self.line()?;
        let mut cookies = Vec::new();
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let cookie = value.split(';').next().unwrap_or(value).trim();
            match name.to_lowercase().as_str() {
                "set-cookie" => cookies.push(cookie.to_owned()),
                "content-length" => length = value.trim().parse()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body)?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(format!("{}: {status} {body}", self.path).into());
        }
        Ok(Answer {
            body,
            cookies: cookies.join("; "),
        })
    }

    fn line(&mut self) -> Result<String, Problem> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the server has closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
