//! A subject, ready to be measured: its Redis, its server, and visitors who have signed in.

use super::process::{Load, Server, cpu};
use super::redis::Redis;
use super::{http, progress};
use crate::Problem;
use crate::args::Setup;
use crate::load::Outcome;
use crate::subject::{Route, Subject};

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) setup: Setup,
    /// Before its Redis, so that it is gone before it.
    pub(super) server: Server,
    pub(super) redis: Redis,
    pub(super) cookies: Vec<String>,
    /// Writes that were answered with success.
    writes: u64,
    /// Writes that were answered with 503, and may have been carried out all the same.
    unclear: u64,
}

/// One request in so many may be refused: a busy machine stalls, and then every connection may get one.
const BEARABLE: usize = 20;

/// The cost of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) outcome: Outcome,
    /// CPU milliseconds of the server's process per 1000 requests.
    pub(super) cpu: f64,
    /// CPU milliseconds of its Redis per 1000 requests.
    pub(super) redis_cpu: f64,
}

/// What is in Redis, divided by the number of sessions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bytes {
    /// Of the sessions themselves.
    pub(super) sessions: f64,
    /// Of everything.
    pub(super) all: f64,
}

impl Stage {
    /// Starts everything, and signs in as often as there shall be sessions.
    pub(super) fn set(subject: Subject, sessions: usize) -> Result<Self, Problem> {
        Self::set_with(subject, sessions, (0, 0), false)
    }

    /// The same, with so many entries more of so many bytes, and perhaps on the allocator that counts.
    pub(super) fn set_with(
        subject: Subject,
        sessions: usize,
        (more, bytes): (usize, usize),
        counted: bool,
    ) -> Result<Self, Problem> {
        let redis = Redis::start()?;
        let setup = Setup {
            subject,
            redis: redis.port(),
            sessions,
            more,
            bytes,
        };
        let server = Server::start(setup, counted)?;
        let cookies = (0..sessions)
            .map(|_| Ok(patiently(|| http::get(server.port(), Route::SignIn.path(), ""))?.cookies))
            .collect::<Result<_, Problem>>()?;
        Ok(Self {
            setup,
            server,
            redis,
            cookies,
            writes: 0,
            unclear: 0,
        })
    }

    /// Sends requests to one route, and tells what they cost.
    pub(super) fn load(
        &mut self,
        route: Route,
        connections: usize,
        seconds: f64,
    ) -> Result<Cost, Problem> {
        let (server, redis) = (self.server.process(), self.redis.process());
        let before = (cpu(server)?, cpu(redis)?);
        let load = Load {
            port: self.server.port(),
            path: route.path(),
            connections,
            seconds,
            cookies: match route {
                Route::SignIn => &[],
                _ => &self.cookies,
            },
        };
        let outcome = load.send().map_err(|problem| self.about(&problem))?;
        let after = (cpu(server)?, cpu(redis)?);
        if route == Route::Write {
            self.writes += u64::try_from(outcome.requests)?;
            self.unclear += u64::try_from(outcome.refused)?;
        }
        self.bear(route, outcome)?;
        // Milliseconds per 1000 requests are microseconds per request.
        let each = 1e6 / outcome.requests.max(1) as f64;
        Ok(Cost {
            outcome,
            cpu: (after.0 - before.0).as_secs_f64() * each,
            redis_cpu: (after.1 - before.1).as_secs_f64() * each,
        })
    }

    pub(super) fn has(&self, route: Route) -> bool {
        self.setup.subject.has(route)
    }

    /// What each of the sessions takes in Redis.
    pub(super) fn bytes(&self) -> Result<Bytes, Problem> {
        let mut redis = self.redis.connect()?;
        let mut bytes = Bytes::default();
        for key in self.redis.keys()? {
            let key = key.as_bytes();
            let taken = redis.command(&[b"MEMORY", b"USAGE", key])?.number() as f64;
            bytes.all += taken;
            // Sessions are strings everywhere; an index is not.
            if redis.command(&[b"TYPE", key])?.text() == "string" {
                bytes.sessions += taken;
            }
        }
        bytes.all /= self.cookies.len() as f64;
        bytes.sessions /= self.cookies.len() as f64;
        Ok(bytes)
    }

    /// Reads all sessions, and fails unless they have every write that was acknowledged, once.
    pub(super) fn audit(&self) -> Result<(), Problem> {
        let mut visits = 0;
        for cookies in &self.cookies {
            let seen = patiently(|| visits_of(self.server.port(), cookies));
            visits += seen.map_err(|problem| self.about(&problem))?;
        }
        if (self.writes..=self.writes + self.unclear).contains(&visits) {
            return Ok(());
        }
        let writes = self.writes;
        Err(self.about(&format!("{writes} writes were answered, {visits} are there").into()))
    }

    /// Bears that a few requests were refused, and tells so.
    fn bear(&self, route: Route, outcome: Outcome) -> Result<(), Problem> {
        let Outcome {
            requests, refused, ..
        } = outcome;
        if refused == 0 {
            return Ok(());
        }
        let told = format!("{refused} of {} requests got a 503", requests + refused);
        let told = self.about(&format!("{}: {told}", route.path()).into());
        match refused * BEARABLE > requests {
            true => Err(told),
            false => progress(told),
        }
    }

    /// The same problem, and who has it.
    fn about(&self, problem: &Problem) -> Problem {
        format!("{}: {problem}", self.setup.subject.name()).into()
    }
}

/// Tries what may meet a moment in which the machine stalls.
fn patiently<T>(attempt: impl Fn() -> Result<T, Problem>) -> Result<T, Problem> {
    attempt().or_else(|_| attempt()).or_else(|_| attempt())
}

/// How often a visitor has been here, as a server tells.
pub(super) fn visits_of(port: u16, cookies: &str) -> Result<u64, Problem> {
    let body = http::get(port, Route::Read.path(), cookies)?.body;
    let visits = body.strip_prefix("Ada Lovelace ");
    let visits = visits.and_then(|visits| visits.parse().ok());
    visits.ok_or_else(|| format!("this is not what was stored: {body}").into())
}
