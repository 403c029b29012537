//! Browsers that send the requests of a scenario, and record what they learn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom::SessionId;
use cloakroom_core::Token;
use tokio::time::{sleep, timeout};

use crate::app::{Answer, App, Report, Task};
use crate::clock::SimClock;
use crate::history::{Found, History, Moment, Outcome, Request, SessionNumber, Terms, TokenNumber};
use crate::scenario::Step;
use crate::store::{ORIGIN, Origin};
use crate::trace::Trace;

/// Sends the requests of a scenario to the servers, and returns the history.
///
/// # Panics
///
/// If a request panics.
pub async fn drive(
    apps: &[App],
    clients: usize,
    steps: &[Step],
    terms: Terms,
    clock: SimClock,
    trace: Arc<Trace>,
) -> History {
    let recorder = Arc::new(Recorder::new(clients, clock, trace));
    let mut running = Vec::with_capacity(steps.len());
    for step in steps.iter().copied() {
        let now = clock.elapsed();
        if step.at > now {
            sleep(Duration::from_millis(step.at - now)).await;
        }
        let (cookie, request) = recorder.send(step);
        let app = apps[step.server % apps.len()].clone();
        let recorder = Arc::clone(&recorder);
        let request = send(app, step, cookie, request, recorder);
        let origin = Origin::new(u64::from(step.number));
        running.push(tokio::spawn(ORIGIN.scope(origin, request)));
    }
    for request in running {
        request.await.expect("no request panics");
    }
    recorder.into_history(terms)
}

async fn send(
    app: App,
    step: Step,
    cookie: Option<String>,
    request: usize,
    recorder: Arc<Recorder>,
) {
    sleep_millis(step.there).await;
    let task = Task {
        number: step.number,
        action: step.action,
        pause: Duration::from_millis(step.pause),
    };
    let response = app.send(task, cookie.as_deref());
    let answer = match step.interrupted {
        None => Some(response.await),
        Some(millis) => timeout(Duration::from_millis(millis), response).await.ok(),
    };
    let cookie = recorder.finish(request, answer);
    if let Some(millis) = step.back {
        sleep_millis(millis).await;
        recorder.receive(request, cookie);
    }
}

async fn sleep_millis(millis: u64) {
    if millis > 0 {
        sleep(Duration::from_millis(millis)).await;
    }
}

/// What has happened so far.
#[derive(Debug)]
struct Recorder {
    clock: SimClock,
    trace: Arc<Trace>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    order: u64,
    requests: Vec<Request>,
    /// The cookies of each browser: the last one is the current one, unless it was removed.
    jars: Vec<Vec<Option<String>>>,
    tokens: BTreeMap<String, TokenNumber>,
}

impl Recorder {
    fn new(clients: usize, clock: SimClock, trace: Arc<Trace>) -> Self {
        Self {
            clock,
            trace,
            state: Mutex::new(State {
                order: 0,
                requests: Vec::new(),
                jars: vec![Vec::new(); clients],
                tokens: BTreeMap::new(),
            }),
        }
    }

    /// A request leaves its browser. Returns the cookie that it presents, and the index of the request.
    fn send(&self, step: Step) -> (Option<String>, usize) {
        let mut state = self.lock();
        let sent = self.moment(&mut state);
        let jar = &state.jars[step.client];
        let former = jar.len().checked_sub(1 + step.former);
        let cookie = former.and_then(|index| jar[index].clone());
        let is_current = jar.last().cloned().flatten() == cookie;
        let token = cookie
            .as_deref()
            .and_then(|cookie| self.token(&mut state, cookie));
        let number = step.number;
        state.requests.push(Request {
            number,
            client: step.client,
            server: step.server,
            action: step.action,
            token,
            is_current,
            sent,
            done: Moment::default(),
            received: None,
            outcome: Outcome::Unknown,
            found: None,
            after: None,
            set: None,
            taken: Vec::new(),
            listed: Vec::new(),
        });
        self.trace.add(sent.millis, || format!("#{number} is sent"));
        (cookie, state.requests.len() - 1)
    }

    /// The response is ready, or the request was interrupted. Returns the cookie that it sets.
    fn finish(&self, index: usize, answer: Option<Answer>) -> Option<String> {
        let mut state = self.lock();
        let done = self.moment(&mut state);
        let mut request = state.requests[index].clone();
        request.done = done;
        let Some(answer) = answer else {
            self.trace.add(done.millis, || {
                format!("#{} is interrupted", request.number)
            });
            state.requests[index] = request;
            return None;
        };
        request.outcome = answer.outcome;
        if request.action.revokes() && request.outcome == Outcome::Refused {
            // Some sessions may have ended before it has failed.
            request.outcome = Outcome::Unknown;
        }
        let cookie = answer.cookie.as_deref().filter(|cookie| !cookie.is_empty());
        request.set = cookie.and_then(|cookie| self.token(&mut state, cookie));
        self.apply(&mut request, answer.report);
        self.trace.add(done.millis, || request.to_string());
        state.requests[index] = request;
        answer.cookie
    }

    fn apply(&self, request: &mut Request, report: Report) {
        let number = |id: SessionId| self.trace.session(id);
        request.found = report.found.map(|found| Found {
            session: number(found.id),
            user: found.user,
            list: found.list,
            mailbox: found.mailbox,
            count: found.count,
        });
        request.taken = report.taken;
        // A response that sets a cookie may have created the session after the handler's report.
        request.after = request
            .set
            .map(|set| set.session)
            .or(report.after.map(number));
        request.listed = report.listed.into_iter().map(number).collect();
    }

    /// The response reaches its browser.
    fn receive(&self, index: usize, cookie: Option<String>) {
        let mut state = self.lock();
        let received = self.moment(&mut state);
        state.requests[index].received = Some(received);
        let client = state.requests[index].client;
        if let Some(cookie) = cookie {
            let cookie = Some(cookie).filter(|cookie| !cookie.is_empty());
            if state.jars[client].last() != Some(&cookie) {
                state.jars[client].push(cookie);
            }
        }
    }

    fn token(&self, state: &mut State, cookie: &str) -> Option<TokenNumber> {
        if let Some(token) = state.tokens.get(cookie) {
            return Some(*token);
        }
        let session: SessionNumber = self.trace.session(Token::parse(cookie)?.id());
        let secret = u32::try_from(state.tokens.len()).unwrap_or(u32::MAX);
        let token = TokenNumber { session, secret };
        state.tokens.insert(cookie.to_owned(), token);
        Some(token)
    }

    fn moment(&self, state: &mut State) -> Moment {
        state.order += 1;
        Moment {
            order: state.order,
            millis: self.clock.elapsed(),
        }
    }

    fn into_history(self: Arc<Self>, terms: Terms) -> History {
        let mut state = self.lock();
        let requests = std::mem::take(&mut state.requests);
        History { terms, requests }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
