//! Random histories of users who sign in and out in several browsers, against a plain model of what
//! must come of it: in memory and on Redis, with and without a limit.

use std::cell::Cell;
use std::time::Duration;

use cloakroom::{EndedBy, Rotation, SessionId, SessionLayer, SessionLimit, Sessions, minutes};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::app::app;
use tests::backend::Backend;
use tests::browser::Browser;
use tests::long::times;
use tokio::runtime::Runtime;

const BROWSERS: usize = 4;
const USERS: [&str; 2] = ["ada", "bob"];
const LIMIT: usize = 2;

/// What somebody does.
#[derive(Clone, Debug)]
enum Deed {
    SignIn(usize, usize),
    SignOut(usize),
    Renew(usize),
    Set(usize, u32),
    /// A user ends the session in a browser, which may be another user's.
    EndOf(usize, usize),
    EndOthers(usize),
    EndAll(usize),
    /// A quarter of an hour, after which secrets rotate; each browser is used in it.
    Time,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let (browser, user) = (|| 0..BROWSERS, || 0..USERS.len());
    let deed = prop_oneof![
        4 => (browser(), user()).prop_map(|(b, u)| Deed::SignIn(b, u)),
        1 => browser().prop_map(Deed::SignOut),
        2 => browser().prop_map(Deed::Renew),
        2 => (browser(), any::<u32>()).prop_map(|(b, n)| Deed::Set(b, n)),
        1 => (user(), browser()).prop_map(|(u, b)| Deed::EndOf(u, b)),
        1 => browser().prop_map(Deed::EndOthers),
        1 => user().prop_map(Deed::EndAll),
        1 => Just(Deed::Time),
    ];
    prop::collection::vec(deed, 1..40)
}

/// The session of one browser, as the model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    user: Option<usize>,
    value: Option<u32>,
    /// When its id was issued: the oldest makes room.
    born: usize,
}

/// What must be: the session of each browser, if it has one that lives; and whether the browser's
/// ticket is one of a session that has just ended, with which nothing begins.
#[derive(Debug, Default)]
struct Model {
    seats: [Option<Seat>; BROWSERS],
    stale: [bool; BROWSERS],
    limited: bool,
    /// Whether the store goes by the test's clock, so that in a quarter of an hour its tombstones are
    /// gone, and a stale ticket is an unknown one.
    forgets: bool,
    now: usize,
}

impl Model {
    fn do_it(&mut self, deed: &Deed) {
        self.now += 1;
        match *deed {
            Deed::SignIn(browser, user) => self.sign_in(browser, user),
            Deed::SignOut(browser) => {
                if self.seats[browser].take().is_none() {
                    return;
                }
                self.stale[browser] = false;
            }
            Deed::Renew(browser) => {
                let now = self.now;
                if let Some(seat) = &mut self.seats[browser] {
                    seat.born = now;
                }
            }
            Deed::Set(browser, value) => {
                let now = self.now;
                let new = Seat {
                    user: None,
                    value: None,
                    born: now,
                };
                if !self.stale[browser] {
                    self.seats[browser].get_or_insert(new).value = Some(value);
                }
            }
            Deed::EndOf(user, browser) => {
                if self.seats[browser].is_some_and(|seat| seat.user == Some(user)) {
                    self.end(browser);
                }
            }
            Deed::EndOthers(browser) => {
                if let Some(user) = self.seats[browser].and_then(|seat| seat.user) {
                    self.end_all(user, Some(browser));
                }
            }
            Deed::EndAll(user) => self.end_all(user, None),
            Deed::Time if self.forgets => self.stale = [false; BROWSERS],
            Deed::Time => {}
        }
    }

    fn sign_in(&mut self, browser: usize, user: usize) {
        let old = self.seats[browser];
        let kept = old.filter(|seat| seat.user.is_none_or(|before| before == user));
        self.seats[browser] = None;
        if self.limited {
            while self.of(user).len() >= LIMIT {
                let oldest = self
                    .of(user)
                    .into_iter()
                    .min_by_key(|&b| self.seats[b].map(|s| s.born));
                self.end(oldest.expect("there are some"));
            }
        }
        self.stale[browser] = false;
        self.seats[browser] = Some(Seat {
            user: Some(user),
            value: kept.and_then(|seat| seat.value),
            born: self.now,
        });
    }

    fn of(&self, user: usize) -> Vec<usize> {
        let is_of = |&b: &usize| self.seats[b].is_some_and(|seat| seat.user == Some(user));
        (0..BROWSERS).filter(is_of).collect()
    }

    fn end(&mut self, browser: usize) {
        self.seats[browser] = None;
        self.stale[browser] = true;
    }

    fn end_all(&mut self, user: usize, but: Option<usize>) {
        for browser in self.of(user) {
            if Some(browser) != but {
                self.end(browser);
            }
        }
    }
}

/// What is: real browsers on a real layer.
struct Scene<'a> {
    backend: &'a Backend,
    sessions: Sessions,
    browsers: Vec<Browser>,
}

impl<'a> Scene<'a> {
    async fn new(backend: &'a Backend, layer: SessionLayer) -> Self {
        let app = app(layer.clone());
        Self {
            backend,
            sessions: layer.sessions(),
            browsers: vec![Browser::new(app); BROWSERS],
        }
    }

    async fn do_it(&mut self, deed: &Deed) {
        // So that no two ids are of one moment.
        self.backend.clock.advance(Duration::from_millis(2));
        match *deed {
            Deed::SignIn(browser, user) => {
                let sign_in =
                    async move |session: cloakroom::Session| session.sign_in(USERS[user]).await;
                let answer = self.browsers[browser].act(sign_in).await;
                assert_eq!(answer.status, 200);
            }
            Deed::SignOut(browser) => {
                let sign_out =
                    async |session: cloakroom::Session| session.sign_out().await.map(|_| ());
                self.browsers[browser].act(sign_out).await;
            }
            Deed::Renew(browser) => {
                self.browsers[browser]
                    .act(async |session| session.renew())
                    .await;
            }
            Deed::Set(browser, value) => {
                let set = async move |session: cloakroom::Session| session.insert("n", value);
                self.browsers[browser].act(set).await;
            }
            Deed::EndOf(user, browser) => {
                if let Some(id) = self.id(browser).await {
                    self.sessions
                        .end_of(USERS[user], id)
                        .await
                        .expect("it answers");
                }
            }
            Deed::EndOthers(browser) => {
                let sessions = self.sessions.clone();
                let end_others = async move |session: cloakroom::Session| {
                    if session.user().is_some() {
                        sessions.end_others(&session).await?;
                    }
                    Ok(())
                };
                self.browsers[browser].act(end_others).await;
            }
            Deed::EndAll(user) => {
                let ended = self.sessions.end_all(USERS[user], EndedBy::Admin);
                ended.await.expect("it answers");
            }
            Deed::Time => {
                self.backend.clock.advance(minutes(15));
                // Twice: a new secret is handed out, and then presented.
                for browser in 0..BROWSERS * 2 {
                    self.look(browser % BROWSERS).await;
                }
            }
        }
    }

    async fn id(&mut self, browser: usize) -> Option<SessionId> {
        let answer = self.browsers[browser]
            .act(async |session| Ok(session.id().map(|id| id.to_string()).unwrap_or_default()))
            .await;
        answer.text().parse().ok()
    }

    /// Who is signed in in a browser, and what its session holds.
    async fn look(&mut self, browser: usize) -> String {
        let look = async |session: cloakroom::Session| {
            Ok(format!(
                "{:?} {:?}",
                session.user(),
                session.get::<u32>("n")?
            ))
        };
        self.browsers[browser].act(look).await.text().to_owned()
    }

    async fn check(&mut self, model: &Model) {
        for browser in 0..BROWSERS {
            let seat = model.seats[browser];
            let user = seat.and_then(|seat| Some(cloakroom::UserId::from(USERS[seat.user?])));
            let value = seat.and_then(|seat| seat.value);
            let expected = format!("{user:?} {value:?}");
            assert_eq!(self.look(browser).await, expected, "browser {browser}");
        }
        for (number, user) in USERS.iter().enumerate() {
            let count = self.sessions.count(*user).await.expect("it counts");
            assert_eq!(count, model.of(number).len(), "{user}");
        }
    }
}

fn histories(backend: &Backend, runtime: &Runtime, forgets: bool, cases: u32) {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let realm = Cell::new(0);
    let result = TestRunner::new(config).run(&(deeds(), any::<bool>()), |(deeds, limited)| {
        realm.set(realm.get() + 1);
        runtime.block_on(async {
            let mut builder = backend
                .builder()
                .await
                .with_realm(format!("history {}", realm.get()))
                .with_rotation(Rotation::every(minutes(15)));
            if limited {
                let most = u32::try_from(LIMIT).expect("it is small");
                builder = builder.with_session_limit(SessionLimit::end_oldest(most));
            }
            let layer = builder.build().expect("it is valid");
            let mut scene = Scene::new(backend, layer).await;
            let mut model = Model {
                limited,
                forgets,
                ..Model::default()
            };
            for deed in &deeds {
                scene.do_it(deed).await;
                model.do_it(deed);
                scene.check(&model).await;
            }
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn in_memory() {
    let runtime = Runtime::new().expect("a runtime starts");
    let backend = runtime.block_on(async { Backend::memory() });
    histories(&backend, &runtime, true, times(100, 5000));
}

#[test]
fn on_redis() {
    let runtime = Runtime::new().expect("a runtime starts");
    let backend = runtime.block_on(async { Backend::redis() });
    histories(&backend, &runtime, false, times(25, 1000));
}
