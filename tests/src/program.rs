//! The programs of this workspace, built and run as their users do.

use std::collections::HashMap;
use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use tokio::net::TcpStream;

/// What cargo tells about each thing that it has built, in a line of JSON.
#[derive(Deserialize)]
struct Built {
    executable: Option<PathBuf>,
}

/// A command that runs a program, built if it is not up to date, in an environment that tells it
/// nothing yet.
///
/// # Panics
///
/// When there is no such program, or it does not compile.
#[must_use]
pub fn command(name: &str) -> Command {
    static PROGRAMS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(build);
    let path = programs.get(name);
    let mut command = Command::new(path.unwrap_or_else(|| panic!("no program {name}")));
    for told in ["LISTEN", "REDIS_URL", "RUST_LOG"] {
        command.env_remove(told);
    }
    command.stdin(Stdio::null());
    command
}

/// A program that runs, and ends when the value is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program, and waits until it listens at all its addresses.
    ///
    /// # Panics
    ///
    /// When it does not start, or ends before.
    pub async fn start(command: &mut Command, addresses: &[&str]) -> Self {
        let child = command.stderr(Stdio::inherit()).spawn();
        let mut running = Self(child.expect("the program starts"));
        for address in addresses {
            while TcpStream::connect(address).await.is_err() {
                let ended = running.0.try_wait().expect("a child can be asked");
                assert_eq!(ended, None, "the program has ended");
                tokio::task::yield_now().await;
            }
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port of this machine that nothing listens on.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    address.port()
}

/// Lets cargo build the examples, and tell where they are: wherever the target folder is, they are
/// never stale.
fn build() -> HashMap<String, PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "demo", "--package", "quickstart"])
        .args([
            "--package",
            "axum-login-example",
            "--package",
            "moving-in-example",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo says of the tests' own package is not meant for the build of another.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "the examples do not compile");
    let lines = String::from_utf8(output.stdout).expect("cargo tells JSON");
    let built = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Built>(line).ok()?.executable);
    built.map(|path| (name_of(&path), path)).collect()
}

fn name_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
