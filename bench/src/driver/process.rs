//! The other parts of this program, as processes.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::time::TimeValLike;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Problem;
use crate::args::Setup;
use crate::load::Outcome;
use crate::subject::Subject;

/// A subject that serves; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    /// Starts a subject, and waits until it listens. Counted, it runs on the allocator that counts.
    pub(super) fn start(setup: Setup, counted: bool) -> Result<Self, Problem> {
        if setup.subject == Subject::ExpressSession {
            let mut command = Command::new("node");
            command
                .arg("--expose-gc")
                .arg(folder().join("express/server.js"))
                .arg(setup.redis.to_string())
                .env("NODE_ENV", "production");
            return Self::spawn(&mut command);
        }
        let mut program = env::current_exe()?;
        if counted {
            program.set_file_name("bench-counted");
        }
        let mut command = Command::new(program);
        command
            .args(["serve", &setup.subject.name()])
            .args(["--redis", &setup.redis.to_string()])
            .args(["--sessions", &setup.sessions.to_string()])
            .args(["--more", &setup.more.to_string()])
            .args(["--bytes", &setup.bytes.to_string()]);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Result<Self, Problem> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut server = Self {
            child,
            orders,
            answers,
            port: 0,
        };
        server.port = server.line()?.parse()?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order, and waits for the answer.
    pub(super) fn order(&mut self, order: &str) -> Result<String, Problem> {
        let orders = self.orders.as_mut().ok_or("no pipe")?;
        writeln!(orders, "{order}")?;
        self.line()
    }

    fn line(&mut self) -> Result<String, Problem> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the server has ended".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.orders = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where this package lies.
pub(super) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The load that is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) port: u16,
    pub(super) path: &'a str,
    pub(super) connections: usize,
    pub(super) seconds: f64,
    /// A line for each session; none for requests without one.
    pub(super) cookies: &'a [String],
}

impl Load<'_> {
    /// Sends it, and waits for the end.
    pub(super) fn send(self) -> Result<Outcome, Problem> {
        let mut child = Command::new(env::current_exe()?)
            .arg("load")
            .args(["--port", &self.port.to_string()])
            .args([OsStr::new("--path"), self.path.as_ref()])
            .args(["--connections", &self.connections.to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut cookies = child.stdin.take().ok_or("no pipe")?;
        cookies.write_all(self.cookies.join("\n").as_bytes())?;
        drop(cookies);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("the load on {} failed", self.path).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The CPU time that a process has used so far, with all its threads, in it and for it.
pub(super) fn cpu(process: u32) -> Result<Duration, Problem> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process)?))?;
    let time = clock_gettime(clock)?.num_nanoseconds();
    Ok(Duration::from_nanos(u64::try_from(time)?))
}
