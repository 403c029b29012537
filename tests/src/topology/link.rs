//! A long way to a server: a port whose bytes arrive later.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A port that leads to another one, for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
}

impl Link {
    /// Lays a link to `port` on which every byte is under way for `delay`.
    pub(crate) fn lay(port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    carry(&near, &far, delay);
                    carry(&far, &near, delay);
                }
            }
        });
        Self {
            port: address.port(),
        }
    }

    /// Where it begins.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Carries bytes one way, until either end is closed. What is under way then is lost.
fn carry(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let (under_way, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket has many handles");
    let (mut source, mut sink, closed) = (clone(from), clone(to), clone(to));
    source.set_nodelay(true).expect("TCP knows it");
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = source.read(&mut bytes) {
            if under_way
                .send((Instant::now() + delay, bytes[..count].into()))
                .is_err()
            {
                break;
            }
        }
        let _ = closed.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        for (due, bytes) in arriving {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sink.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = sink.shutdown(Shutdown::Both);
    });
}
