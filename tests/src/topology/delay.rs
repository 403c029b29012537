//! A proxy that adds latency.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A port that forwards to another one with a delay, as long as the process runs.
#[derive(Debug)]
pub struct DelayedPort {
    port: u16,
}

impl DelayedPort {
    /// Starts a port in front of `port`, which delays every byte by `delay`.
    ///
    /// # Panics
    ///
    /// When no port is free.
    #[must_use]
    pub fn start(port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    forward(&near, &far, delay);
                    forward(&far, &near, delay);
                }
            }
        });
        Self {
            port: address.port(),
        }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Forwards bytes in one direction, until either end is closed. Bytes in transit are then lost.
fn forward(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket has many handles");
    let (mut source, mut sink, closed) = (clone(from), clone(to), clone(to));
    source.set_nodelay(true).expect("TCP knows it");
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = source.read(&mut bytes) {
            if sender
                .send((Instant::now() + delay, bytes[..count].into()))
                .is_err()
            {
                break;
            }
        }
        let _ = closed.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sink.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = sink.shutdown(Shutdown::Both);
    });
}
