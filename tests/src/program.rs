//! Builds and runs the example programs of this workspace.

use std::collections::HashMap;
use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use tokio::net::TcpStream;

/// A line of cargo's JSON messages.
#[derive(Deserialize)]
struct Built {
    executable: Option<PathBuf>,
}

/// A command that runs a program, built if it is not up to date, without the environment variables that
/// configure it.
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
    for variable in ["LISTEN", "REDIS_URL", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A running program, killed on drop.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program, and waits until it listens on all addresses.
    ///
    /// # Panics
    ///
    /// When it does not start, or exits before.
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

/// Builds the examples with cargo, and returns their paths. So they are up to date, wherever the target
/// folder is.
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
            "migration-example",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // Variables that cargo sets for the test package must not affect the build of another.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "the examples do not compile");
    let lines = String::from_utf8(output.stdout).expect("cargo prints JSON");
    let built = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Built>(line).ok()?.executable);
    built.map(|path| (name_of(&path), path)).collect()
}

fn name_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
