//! A subject that is ready to be measured: its server, its Redis, and sessions that are signed in.

use super::nodes::Nodes;
use super::process::{Load, Server, cpu_time};
use super::{http, progress};
use crate::BoxError;
use crate::args::{ServeArgs, Setting};
use crate::load::LoadResult;
use crate::subject::{Route, Subject};

#[derive(Debug)]
pub(super) struct Testbed {
    pub(super) args: ServeArgs,
    /// Declared before its Redis, so that it is dropped first.
    pub(super) server: Server,
    pub(super) redis: Nodes,
    /// The cookies of each session.
    pub(super) cookies: Vec<String>,
    /// Writes with a success response.
    writes: u64,
    /// Writes with a 503 response, which may have been carried out.
    uncertain_writes: u64,
}

/// One request in so many may get a 503: when a busy machine stalls, every connection may get one.
const MAX_REFUSED: usize = 20;

/// The cost of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) result: LoadResult,
    /// CPU milliseconds of the server's process per 1000 requests.
    pub(super) cpu: f64,
    /// CPU milliseconds of its Redis, all nodes together, per 1000 requests.
    pub(super) redis_cpu: f64,
}

/// The memory that Redis uses, divided by the number of sessions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bytes {
    /// By the sessions themselves.
    pub(super) sessions: f64,
    /// By all keys.
    pub(super) all: f64,
}

impl Testbed {
    /// Starts the processes, and signs in `sessions` times.
    pub(super) fn start(
        subject: Subject,
        setting: Setting,
        sessions: usize,
    ) -> Result<Self, BoxError> {
        Self::start_with(subject, setting, sessions, (0, 0), false)
    }

    /// The same, with so many more entries of so many bytes in each session. If `counted`, the server's
    /// allocator counts.
    pub(super) fn start_with(
        subject: Subject,
        setting: Setting,
        sessions: usize,
        (extra_entries, entry_bytes): (usize, usize),
        counted: bool,
    ) -> Result<Self, BoxError> {
        let redis = Nodes::start(setting.cluster)?;
        let args = ServeArgs {
            subject,
            redis: redis.port(),
            setting,
            sessions,
            extra_entries,
            entry_bytes,
        };
        let server = Server::start(args, counted)?;
        let sign_in = || http::get(server.port(), Route::SignIn.path(), "");
        let cookies = (0..sessions)
            .map(|_| http::cookies_of(&with_retries(sign_in)?))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            args,
            server,
            redis,
            cookies,
            writes: 0,
            uncertain_writes: 0,
        })
    }

    /// The port of the server.
    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }

    pub(super) fn has(&self, route: Route) -> bool {
        self.args.subject.has(route)
    }

    /// Sends requests to one route, and returns what they cost.
    pub(super) fn load(
        &mut self,
        route: Route,
        connections: usize,
        seconds: f64,
    ) -> Result<Cost, BoxError> {
        let server = self.server.process();
        let before = (cpu_time(server)?, self.redis.cpu_time()?);
        let load = Load {
            port: self.port(),
            path: route.path(),
            connections,
            seconds,
            cookies: match route {
                Route::SignIn => &[],
                _ => &self.cookies,
            },
        };
        let result = load.send().map_err(|error| self.error(&error))?;
        let after = (cpu_time(server)?, self.redis.cpu_time()?);
        if route == Route::Write {
            self.writes += u64::try_from(result.requests)?;
            self.uncertain_writes += u64::try_from(result.refused)?;
        }
        self.check_refused(route, result)?;
        // Milliseconds per 1000 requests are microseconds per request.
        let per_request = 1e6 / result.requests.max(1) as f64;
        Ok(Cost {
            result,
            cpu: (after.0 - before.0).as_secs_f64() * per_request,
            redis_cpu: (after.1 - before.1).as_secs_f64() * per_request,
        })
    }

    /// Returns how much memory a session uses in Redis.
    pub(super) fn bytes(&self) -> Bytes {
        let mut bytes = Bytes::default();
        let types = self.redis.of_each_key(&["TYPE"]).into_iter();
        let used = self.redis.of_each_key(&["MEMORY", "USAGE"]);
        for ((_, kind), (_, used)) in types.zip(used) {
            let used = used.number() as f64;
            bytes.all += used;
            // Sessions are strings in all libraries; an index is not.
            if kind.text() == "string" {
                bytes.sessions += used;
            }
        }
        bytes.all /= self.cookies.len() as f64;
        bytes.sessions /= self.cookies.len() as f64;
        bytes
    }

    /// Reads all sessions, and fails unless they hold every acknowledged write exactly once.
    pub(super) fn verify_writes(&self) -> Result<(), BoxError> {
        let mut found = 0;
        for cookies in &self.cookies {
            let visits = with_retries(|| visits(self.port(), cookies));
            found += visits.map_err(|error| self.error(&error))?;
        }
        let writes = self.writes;
        if (writes..=writes + self.uncertain_writes).contains(&found) {
            return Ok(());
        }
        Err(self.error(&format!("{writes} writes were acknowledged, {found} are stored").into()))
    }

    /// Reports that requests got a 503, and fails if it were too many.
    fn check_refused(&self, route: Route, result: LoadResult) -> Result<(), BoxError> {
        let LoadResult {
            requests, refused, ..
        } = result;
        if refused == 0 {
            return Ok(());
        }
        let (path, all) = (route.path(), requests + refused);
        let message = self.error(&format!("{path}: {refused} of {all} requests got a 503").into());
        if refused * MAX_REFUSED > requests {
            return Err(message);
        }
        progress(message)
    }

    /// Returns the same error with the name of the subject.
    pub(super) fn error(&self, error: &BoxError) -> BoxError {
        format!("{}: {error}", self.args.subject.name()).into()
    }
}

/// Tries up to three times, since a busy machine may stall.
fn with_retries<T>(attempt: impl Fn() -> Result<T, BoxError>) -> Result<T, BoxError> {
    attempt().or_else(|_| attempt()).or_else(|_| attempt())
}

/// Returns the counter in a session, which every write increments.
pub(super) fn visits(port: u16, cookies: &str) -> Result<u64, BoxError> {
    let body = http::get(port, Route::Read.path(), cookies)?.body;
    let visits = body.strip_prefix("Ada Lovelace ");
    let visits = visits.and_then(|visits| visits.parse().ok());
    visits.ok_or_else(|| format!("this is not what was stored: {body}").into())
}
