//! A proxy that rewrites what a client and a server send, to simulate servers that cannot be started here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::redis::RedisServer;

/// Starts a proxy that rewrites commands and replies. A replacement must have the length of the original. Returns the
/// URL of the proxy, which runs until the process ends.
///
/// # Panics
///
/// When no port is free.
#[must_use]
pub fn rewriting_proxy(
    server: &RedisServer,
    replacements: &'static [(&'static str, &'static str)],
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("redis://{}", listener.local_addr().expect("it listens"));
    let port = server.port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("it is taken");
            let server = TcpStream::connect(("127.0.0.1", port)).expect("it is there");
            let clone = |stream: &TcpStream| stream.try_clone().expect("it is there");
            let (commands, replies) = (clone(&client), clone(&server));
            thread::spawn(move || rewrite(commands, server, replacements));
            thread::spawn(move || rewrite(replies, client, replacements));
        }
    });
    url
}

/// Forwards one direction, until it is closed.
fn rewrite(mut from: TcpStream, mut to: TcpStream, replacements: &[(&str, &str)]) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let received = &mut bytes[..length];
        for (original, replacement) in replacements {
            assert_eq!(original.len(), replacement.len());
            replace(received, original.as_bytes(), replacement.as_bytes());
        }
        if to.write_all(received).is_err() {
            break;
        }
    }
}

fn replace(bytes: &mut [u8], original: &[u8], replacement: &[u8]) {
    for start in 0..(bytes.len() + 1).saturating_sub(original.len()) {
        let part = &mut bytes[start..start + original.len()];
        if part == original {
            part.copy_from_slice(replacement);
        }
    }
}
