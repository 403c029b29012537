//! A plain, blocking browser.

use std::io::{Read, Write};
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

/// Sends a request on a connection of its own. The answer must be a success.
pub(super) fn get(port: u16, path: &str, cookies: &str) -> Result<Answer, Problem> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let cookies = match cookies {
        "" => String::new(),
        cookies => format!("Cookie: {cookies}\r\n"),
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookies}\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("half of an answer")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("{path} was answered: {answer}").into());
    }
    let set = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let cookie = value.split(';').next()?.trim();
        name.eq_ignore_ascii_case("set-cookie").then_some(cookie)
    });
    Ok(Answer {
        body: body.to_owned(),
        cookies: set.collect::<Vec<_>>().join("; "),
    })
}
