//! Random histories of users who sign in and out in several browsers, compared with a simple model: in
//! memory and on Redis, with and without a limit.

use std::cell::Cell;
use std::time::Duration;

use cloakroom::{RevokedBy, Rotation, SessionId, SessionLayer, SessionLimit, Sessions, minutes};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::app::app;
use tests::backend::Backend;
use tests::browser::Browser;
use tests::iterations::times;
use tests::wait::within;
use tokio::runtime::{Handle, Runtime};

const BROWSERS: usize = 4;
const USERS: [&str; 2] = ["ada", "bob"];
const LIMIT: usize = 2;
const PATIENCE: Duration = Duration::from_secs(20);

/// One action.
#[derive(Clone, Debug)]
enum Action {
    SignIn(usize, usize),
    SignOut(usize),
    Renew(usize),
    Set(usize, u32),
    /// A user revokes the session of a browser, which may be another user's.
    EndOf(usize, usize),
    EndOthers(usize),
    EndAll(usize),
    /// A quarter of an hour passes, after which secrets rotate; then each browser is used.
    Time,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let (browser, user) = (|| 0..BROWSERS, || 0..USERS.len());
    let action = prop_oneof![
        4 => (browser(), user()).prop_map(|(b, u)| Action::SignIn(b, u)),
        1 => browser().prop_map(Action::SignOut),
        2 => browser().prop_map(Action::Renew),
        2 => (browser(), any::<u32>()).prop_map(|(b, n)| Action::Set(b, n)),
        1 => (user(), browser()).prop_map(|(u, b)| Action::EndOf(u, b)),
        1 => browser().prop_map(Action::EndOthers),
        1 => user().prop_map(Action::EndAll),
        1 => Just(Action::Time),
    ];
    prop::collection::vec(action, 1..40)
}

/// The session of one browser in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ModelSession {
    user: Option<usize>,
    value: Option<u32>,
    /// When its id was issued: the oldest session is evicted.
    created: usize,
}

/// The expected state: the live session of each browser, and whether the browser's cookie is of a
/// session that has just ended, with which no new session is created.
#[derive(Debug, Default)]
struct Model {
    sessions_in: [Option<ModelSession>; BROWSERS],
    stale: [bool; BROWSERS],
    limited: bool,
    /// Whether the store uses the test's clock, so that tombstones expire within a quarter of an hour,
    /// and a stale cookie becomes an unknown one.
    tombstones_expire: bool,
    now: usize,
}

impl Model {
    fn apply(&mut self, action: &Action) {
        self.now += 1;
        match *action {
            Action::SignIn(browser, user) => self.sign_in(browser, user),
            Action::SignOut(browser) => {
                if self.sessions_in[browser].take().is_none() {
                    return;
                }
                self.stale[browser] = false;
            }
            Action::Renew(browser) => {
                let now = self.now;
                if let Some(session) = &mut self.sessions_in[browser] {
                    session.created = now;
                }
            }
            Action::Set(browser, value) => {
                let now = self.now;
                let new = ModelSession {
                    user: None,
                    value: None,
                    created: now,
                };
                if !self.stale[browser] {
                    self.sessions_in[browser].get_or_insert(new).value = Some(value);
                }
            }
            Action::EndOf(user, browser) => {
                if self.sessions_in[browser].is_some_and(|session| session.user == Some(user)) {
                    self.end(browser);
                }
            }
            Action::EndOthers(browser) => {
                if let Some(user) = self.sessions_in[browser].and_then(|session| session.user) {
                    self.revoke_all(user, Some(browser));
                }
            }
            Action::EndAll(user) => self.revoke_all(user, None),
            Action::Time if self.tombstones_expire => self.stale = [false; BROWSERS],
            Action::Time => {}
        }
    }

    fn sign_in(&mut self, browser: usize, user: usize) {
        let old = self.sessions_in[browser];
        let kept = old.filter(|session| session.user.is_none_or(|before| before == user));
        self.sessions_in[browser] = None;
        if self.limited {
            while self.of(user).len() >= LIMIT {
                let oldest = self
                    .of(user)
                    .into_iter()
                    .min_by_key(|&b| self.sessions_in[b].map(|s| s.created));
                self.end(oldest.expect("there are some"));
            }
        }
        self.stale[browser] = false;
        self.sessions_in[browser] = Some(ModelSession {
            user: Some(user),
            value: kept.and_then(|session| session.value),
            created: self.now,
        });
    }

    fn of(&self, user: usize) -> Vec<usize> {
        let is_of =
            |&b: &usize| self.sessions_in[b].is_some_and(|session| session.user == Some(user));
        (0..BROWSERS).filter(is_of).collect()
    }

    fn end(&mut self, browser: usize) {
        self.sessions_in[browser] = None;
        self.stale[browser] = true;
    }

    fn revoke_all(&mut self, user: usize, but: Option<usize>) {
        for browser in self.of(user) {
            if Some(browser) != but {
                self.end(browser);
            }
        }
    }
}

/// The actual state: browsers on a real layer.
struct Deployment<'a> {
    backend: &'a Backend,
    sessions: Sessions,
    browsers: Vec<Browser>,
    tombstones_expire: bool,
}

impl<'a> Deployment<'a> {
    async fn new(backend: &'a Backend, layer: SessionLayer, tombstones_expire: bool) -> Self {
        let app = app(layer.clone());
        Self {
            backend,
            sessions: layer.sessions(),
            browsers: vec![Browser::new(app); BROWSERS],
            tombstones_expire,
        }
    }

    async fn apply(&mut self, action: &Action) {
        // So that all ids have different times.
        self.backend.clock.advance(Duration::from_millis(2));
        match *action {
            Action::SignIn(browser, user) => {
                let sign_in =
                    async move |session: cloakroom::Session| session.sign_in(USERS[user]).await;
                let response = self.browsers[browser].request(sign_in).await;
                assert_eq!(response.status, 200);
            }
            Action::SignOut(browser) => {
                let sign_out =
                    async |session: cloakroom::Session| session.sign_out().await.map(|_| ());
                self.browsers[browser].request(sign_out).await;
            }
            Action::Renew(browser) => {
                self.browsers[browser]
                    .request(async |session| session.renew())
                    .await;
            }
            Action::Set(browser, value) => {
                let set = async move |session: cloakroom::Session| session.insert("n", value);
                self.browsers[browser].request(set).await;
            }
            Action::EndOf(user, browser) => {
                if let Some(id) = self.id(browser).await {
                    self.sessions
                        .revoke(USERS[user], id)
                        .await
                        .expect("the command succeeds");
                }
            }
            Action::EndOthers(browser) => {
                let sessions = self.sessions.clone();
                let revoke_others = async move |session: cloakroom::Session| {
                    if session.user().is_some() {
                        sessions.revoke_others(&session).await?;
                    }
                    Ok(())
                };
                self.browsers[browser].request(revoke_others).await;
            }
            Action::EndAll(user) => {
                let ended = self.sessions.revoke_all(USERS[user], RevokedBy::Admin);
                ended.await.expect("the command succeeds");
            }
            Action::Time => {
                self.background_work_ends().await;
                self.backend.clock.advance(minutes(15));
                // Twice: a new secret is sent to the browser, and then presented.
                for browser in 0..BROWSERS * 2 {
                    self.view(browser % BROWSERS).await;
                }
            }
        }
    }

    /// In memory there are no other tasks. What is late by a quarter of an hour would leave new tombstones.
    async fn background_work_ends(&self) {
        if self.tombstones_expire {
            let has_ended = async || Handle::current().metrics().num_alive_tasks() == 0;
            within("background work ends", PATIENCE, has_ended).await;
        }
    }

    async fn id(&mut self, browser: usize) -> Option<SessionId> {
        let response = self.browsers[browser]
            .request(async |session| Ok(session.id().map(|id| id.to_string()).unwrap_or_default()))
            .await;
        response.text().parse().ok()
    }

    /// The signed-in user and the entry of a browser's session.
    async fn view(&mut self, browser: usize) -> String {
        let view = async |session: cloakroom::Session| {
            Ok(format!(
                "{:?} {:?}",
                session.user(),
                session.get::<u32>("n")?
            ))
        };
        self.browsers[browser].request(view).await.text().to_owned()
    }

    async fn check(&mut self, model: &Model) {
        for browser in 0..BROWSERS {
            let session = model.sessions_in[browser];
            let user =
                session.and_then(|session| Some(cloakroom::UserId::from(USERS[session.user?])));
            let value = session.and_then(|session| session.value);
            let expected = format!("{user:?} {value:?}");
            assert_eq!(self.view(browser).await, expected, "browser {browser}");
        }
        for (number, user) in USERS.iter().enumerate() {
            let count = self.sessions.count(*user).await.expect("it counts");
            assert_eq!(count, model.of(number).len(), "{user}");
        }
    }
}

fn histories(backend: &Backend, runtime: &Runtime, tombstones_expire: bool, cases: u32) {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let realm = Cell::new(0);
    let result = TestRunner::new(config).run(&(actions(), any::<bool>()), |(actions, limited)| {
        realm.set(realm.get() + 1);
        runtime.block_on(async {
            let mut builder = backend
                .builder()
                .await
                .with_realm(format!("history {}", realm.get()))
                .with_rotation(Rotation::every(minutes(15)));
            if limited {
                let most = u32::try_from(LIMIT).expect("it is small");
                builder = builder.with_session_limit(SessionLimit::evict_oldest(most));
            }
            let layer = builder.build().expect("it is valid");
            let mut deployment = Deployment::new(backend, layer, tombstones_expire).await;
            let mut model = Model {
                limited,
                tombstones_expire,
                ..Model::default()
            };
            for action in &actions {
                deployment.apply(action).await;
                model.apply(action);
                deployment.check(&model).await;
            }
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn random_histories_match_the_model_in_memory() {
    let runtime = Runtime::new().expect("a runtime starts");
    let backend = runtime.block_on(async { Backend::memory() });
    histories(&backend, &runtime, true, times(100, 5000));
}

#[test]
fn random_histories_match_the_model_on_redis() {
    let runtime = Runtime::new().expect("a runtime starts");
    let backend = runtime.block_on(async { Backend::redis() });
    histories(&backend, &runtime, false, times(25, 1000));
}
