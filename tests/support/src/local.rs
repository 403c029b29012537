//! Ports and folders of this machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::{env, fs, net, process};

/// Returns a port of this machine that nothing listens on.
///
/// It lies below the range from which the system assigns ports to outgoing connections: one of those
/// could take the port while a server that is to be restarted on it is down.
///
/// # Panics
///
/// Does not: a process id modulo 12000 fits in a `u16`.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run in parallel, so each starts at another port.
    let start = process::id().wrapping_mul(977) % u32::from(COUNT);
    let start = u16::try_from(start).expect("it is less than a u16");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Creates a folder for the files of one server. The caller removes it.
///
/// # Panics
///
/// Panics if the folder for temporary files cannot be written to.
#[must_use]
pub fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("cloakroom-redis-{}-{number}", process::id());
    let folder = Path::new(&env::temp_dir()).join(name);
    fs::create_dir_all(&folder).expect("the temporary folder can be written to");
    folder
}
