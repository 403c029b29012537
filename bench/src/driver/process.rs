//! The other roles of this program, as child processes.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::time::TimeValLike;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::BoxError;
use crate::args::ServeArgs;
use crate::load::LoadResult;
use crate::subject::Subject;

/// A subject that runs; dropping it ends the process.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    /// Starts a subject, and waits until it listens. If `counted`, its allocator counts.
    pub(super) fn start(args: ServeArgs, counted: bool) -> Result<Self, BoxError> {
        if args.subject == Subject::ExpressSession {
            let mut command = Command::new("node");
            command
                .arg("--expose-gc")
                .arg(package_folder().join("express/server.js"))
                .arg(args.redis.to_string())
                .env("NODE_ENV", "production");
            return Self::spawn(&mut command);
        }
        let mut program = env::current_exe()?;
        if counted {
            program.set_file_name("bench-counted");
        }
        let mut command = Command::new(program);
        command
            .args(["serve", &args.subject.name()])
            .args(["--redis", &args.redis.to_string()])
            .args(["--workers", args.setting.workers.name()])
            .args(args.setting.cluster.then_some("--cluster"))
            .args(["--sessions", &args.sessions.to_string()])
            .args(["--extra-entries", &args.extra_entries.to_string()])
            .args(["--entry-bytes", &args.entry_bytes.to_string()]);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Result<Self, BoxError> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut server = Self {
            child,
            stdin,
            stdout,
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

    /// Sends a command to the process, and waits for the reply.
    pub(super) fn command(&mut self, command: &str) -> Result<String, BoxError> {
        let stdin = self.stdin.as_mut().ok_or("no pipe")?;
        writeln!(stdin, "{command}")?;
        self.line()
    }

    fn line(&mut self) -> Result<String, BoxError> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err("the server has ended".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stdin = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the folder of this package.
pub(super) fn package_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The load that is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) port: u16,
    pub(super) path: &'a str,
    pub(super) connections: usize,
    pub(super) seconds: f64,
    /// The cookies of each session; empty for requests without one.
    pub(super) cookies: &'a [String],
}

impl Load<'_> {
    /// Sends it from a process of its own, and waits for the end.
    pub(super) fn send(self) -> Result<LoadResult, BoxError> {
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

/// Returns the CPU time that a process has used so far: all its threads, in user mode and in the kernel.
pub(super) fn cpu_time(process: u32) -> Result<Duration, BoxError> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process)?))?;
    let time = clock_gettime(clock)?.num_nanoseconds();
    Ok(Duration::from_nanos(u64::try_from(time)?))
}
