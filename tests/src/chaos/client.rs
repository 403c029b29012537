//! A client: uses its own sessions, one after the other, and remembers what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use tokio::time::sleep;

use super::app::{SessionView, TestResponse, send_request};
use super::outcome::Observations;
use crate::rng::Rng;

/// The number of different notes.
const NOTES: u32 = 24;

/// How many cookies of ended or set-aside sessions are kept, to be sent again.
const KEPT: usize = 300;

/// One in this many clients keeps its sessions.
const KEEPER_EVERY: u64 = 4;

/// A browser that records what was acknowledged.
#[derive(Debug)]
pub(super) struct LoadClient {
    servers: [Router; 2],
    observations: Arc<Observations>,
    number: u64,
    rng: Rng,
    sessions: u64,
    session: Option<ExpectedSession>,
    /// Cookies of sessions whose end was acknowledged.
    ended: Vec<String>,
    /// Never renews or ends a session. If the outcome of an end is unknown, a missing session proves
    /// nothing; the sessions of such a client must exist, whatever the responses were.
    keeps_sessions: bool,
    /// Sessions that are not used any more, and read at the end.
    set_aside: Vec<ExpectedSession>,
}

/// What a session must hold.
#[derive(Debug)]
struct ExpectedSession {
    cookie: String,
    owner: u64,
    acknowledged: u64,
    unknown: u64,
    notes: BTreeSet<u32>,
    /// An end or a renewal had an unknown outcome.
    may_be_gone: bool,
}

impl LoadClient {
    pub(super) fn new(number: u64, servers: [Router; 2], observations: Arc<Observations>) -> Self {
        Self {
            servers,
            observations,
            number,
            rng: Rng::new(number),
            sessions: 0,
            session: None,
            ended: Vec::new(),
            keeps_sessions: number.is_multiple_of(KEEPER_EVERY),
            set_aside: Vec::new(),
        }
    }

    /// Sends one request, or two at once.
    pub(super) async fn step(&mut self) {
        let choice = self.rng.next_u64() % 100;
        let Some(session) = self.session.take() else {
            return self.begin().await;
        };
        self.session = match choice {
            0..35 => self.read(session).await,
            35..65 => self.increment_twice_concurrently(session).await,
            65..80 => self.note(session).await,
            80..93 if self.keeps_sessions => self.set_aside(session),
            80..87 => self.renew(session).await,
            87..93 => self.destroy(session).await,
            _ => {
                self.recheck_an_ended_session().await;
                Some(session)
            }
        };
    }

    /// Reads all sessions one last time: those that must exist, and those that must not.
    pub(super) async fn finish(mut self) {
        if let Some(session) = self.session.take() {
            self.read(session).await;
        }
        for session in std::mem::take(&mut self.set_aside) {
            self.read(session).await;
        }
        for cookie in std::mem::take(&mut self.ended) {
            self.check_ended(cookie).await;
        }
    }

    async fn begin(&mut self) {
        self.sessions += 1;
        let owner = self.number * 1_000_000 + self.sessions;
        let response = self.send(&format!("/begin/{owner}"), None).await;
        if response.status != StatusCode::OK {
            return;
        }
        let Some(cookie) = response.cookie else {
            return self
                .observations
                .violation("a session began without a cookie".to_owned());
        };
        self.session = Some(ExpectedSession {
            cookie,
            owner,
            acknowledged: 0,
            unknown: 0,
            notes: BTreeSet::new(),
            may_be_gone: false,
        });
    }

    async fn read(&mut self, mut session: ExpectedSession) -> Option<ExpectedSession> {
        let response = self.send("/read", Some(&session)).await;
        self.check(&mut session, &response).then_some(session)
    }

    async fn increment_twice_concurrently(
        &mut self,
        mut session: ExpectedSession,
    ) -> Option<ExpectedSession> {
        let [one, other] = &self.servers;
        let (one, other) = tokio::join!(
            self.send_to(one, "/increment", Some(&session)),
            self.send_to(other, "/increment", Some(&session))
        );
        // Each may have seen the other, before it was acknowledged.
        session.unknown += 2;
        let mut there = true;
        for response in [one, other] {
            there &= self.check(&mut session, &response);
            if response.status == StatusCode::OK && response.seen.is_some() {
                session.acknowledged += 1;
                session.unknown -= 1;
            }
        }
        there.then_some(session)
    }

    async fn note(&mut self, mut session: ExpectedSession) -> Option<ExpectedSession> {
        let note = u32::try_from(self.rng.next_u64() % u64::from(NOTES)).expect("it is small");
        let response = self.send(&format!("/note/{note}"), Some(&session)).await;
        let there = self.check(&mut session, &response);
        if response.status == StatusCode::OK && response.seen.is_some() {
            session.notes.insert(note);
        }
        there.then_some(session)
    }

    async fn renew(&mut self, mut session: ExpectedSession) -> Option<ExpectedSession> {
        let response = self.send("/renew", Some(&session)).await;
        if !self.check(&mut session, &response) {
            return None;
        }
        match (response.status, response.cookie) {
            (StatusCode::OK, Some(cookie)) => {
                let old = std::mem::replace(&mut session.cookie, cookie);
                self.keep(old);
            }
            (StatusCode::OK, None) => {
                let what = "a renewal was acknowledged without a cookie";
                self.observations.violation(what.to_owned());
            }
            _ => session.may_be_gone = true,
        }
        Some(session)
    }

    async fn destroy(&mut self, mut session: ExpectedSession) -> Option<ExpectedSession> {
        let response = self.send("/destroy", Some(&session)).await;
        if !self.check(&mut session, &response) {
            return None;
        }
        if response.status == StatusCode::OK {
            self.keep(session.cookie);
            return None;
        }
        session.may_be_gone = true;
        Some(session)
    }

    fn set_aside(&mut self, session: ExpectedSession) -> Option<ExpectedSession> {
        if self.set_aside.len() == KEPT {
            return Some(session);
        }
        self.set_aside.push(session);
        None
    }

    async fn recheck_an_ended_session(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let which = usize::try_from(self.rng.next_u64()).unwrap_or_default() % self.ended.len();
        let cookie = self.ended.swap_remove(which);
        if self.check_ended(cookie.clone()).await {
            self.ended.push(cookie);
        }
    }

    /// Whether it is still ended.
    async fn check_ended(&self, cookie: String) -> bool {
        let response = self.request(&self.servers[0], "/read", Some(cookie)).await;
        let revived = response.seen.is_some();
        if revived {
            self.observations.revived();
        }
        !revived
    }

    /// Compares a response with what the session must hold. Returns whether the session may still exist.
    fn check(&self, session: &mut ExpectedSession, response: &TestResponse) -> bool {
        if !matches!(response.status, StatusCode::OK | StatusCode::CONFLICT) {
            return true;
        }
        let Some(seen) = &response.seen else {
            if !session.may_be_gone {
                self.observations.lost(1);
            }
            return false;
        };
        self.check_content(session, seen);
        true
    }

    fn check_content(&self, session: &mut ExpectedSession, seen: &SessionView) {
        if seen.owner != session.owner {
            let what = format!("{} got the session of {}", session.owner, seen.owner);
            return self.observations.violation(what);
        }
        if seen.hits < session.acknowledged {
            self.observations.lost(session.acknowledged - seen.hits);
            session.acknowledged = seen.hits;
        }
        let most = session.acknowledged + session.unknown;
        if seen.hits > most {
            let what = format!("{} increments, but at most {most} were sent", seen.hits);
            self.observations.violation(what);
        }
        let there: BTreeSet<_> = seen.notes.iter().copied().collect();
        let lost = session.notes.difference(&there).count();
        if lost > 0 {
            self.observations
                .lost(u64::try_from(lost).unwrap_or(u64::MAX));
            session.notes = &session.notes & &there;
        }
    }

    fn keep(&mut self, cookie: String) {
        if self.ended.len() < KEPT {
            self.ended.push(cookie);
        }
    }

    async fn send(&mut self, path: &str, session: Option<&ExpectedSession>) -> TestResponse {
        let which = usize::from(self.rng.next_u64().is_multiple_of(2));
        self.send_to(&self.servers[which], path, session).await
    }

    async fn send_to(
        &self,
        server: &Router,
        path: &str,
        session: Option<&ExpectedSession>,
    ) -> TestResponse {
        let cookie = session.map(|session| session.cookie.clone());
        self.request(server, path, cookie).await
    }

    async fn unavailable(&self, began: Instant) {
        self.observations.unavailable(began.elapsed());
        // No user reloads faster.
        sleep(Duration::from_millis(10)).await;
    }

    async fn request(&self, server: &Router, path: &str, cookie: Option<String>) -> TestResponse {
        let began = Instant::now();
        let response = send_request(server.clone(), path.to_owned(), cookie).await;
        match response.status {
            // While the server's memory is full, the status is 507.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
                self.unavailable(began).await;
            }
            StatusCode::INTERNAL_SERVER_ERROR if self.observations.are_refusals_allowed() => {
                self.unavailable(began).await;
            }
            // A conflict: the session's record was gone when the edits were to be saved. `check` counts that.
            StatusCode::OK | StatusCode::CONFLICT => self.observations.succeeded(began.elapsed()),
            status => self
                .observations
                .violation(format!("{path}: status {status}")),
        }
        response
    }
}
