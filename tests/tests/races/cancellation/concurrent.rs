//! Requests of one browser, two and three at once, with the current cookie and with the one from before a
//! renewal, each dropped at any moment: what they leave behind.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use cloakroom::{RevokedBy, Session, SessionError, SessionLayer, Sessions};
use cloakroom_core::codec::{self, Stored};
use cloakroom_core::{Authentication, Entries, SessionId};
use futures_util::future::join_all;
use tests::app::{Handler, app};
use tests::browser::{Browser, TestResponse};
use tests::generous;
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::rng::Rng;
use tests::wait::within;

use super::cut::Cut;
use super::harness::{PATIENCE, alive_tasks, fewest_tasks};

const OWNER: &str = "ada";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Edit,
    Renew,
    SignIn,
    SignOut,
    Destroy,
}

impl Action {
    const ALL: [Self; 5] = [
        Self::Edit,
        Self::Renew,
        Self::SignIn,
        Self::SignOut,
        Self::Destroy,
    ];

    const fn ends(self) -> bool {
        matches!(self, Self::SignOut | Self::Destroy)
    }

    fn handler(self, tag: u64) -> Handler {
        Handler::session(async move |session: Session| {
            match self {
                Self::Edit => edit(&session, tag)?,
                Self::Renew => {
                    edit(&session, tag)?;
                    session.renew()?;
                }
                Self::SignIn => {
                    session.sign_in(OWNER).await?;
                    edit(&session, tag)?;
                }
                Self::SignOut => return Ok(format!("{:?}", session.sign_out().await?)),
                Self::Destroy => return Ok(format!("{:?}", session.destroy().await?)),
            }
            Ok(String::new())
        })
    }
}

/// Two entries that must stay equal.
fn edit(session: &Session, tag: u64) -> Result<(), SessionError> {
    session.insert("left", tag)?;
    session.insert("right", tag)
}

#[derive(Clone, Copy, Debug)]
struct Request {
    action: Action,
    /// With the cookie from before the renewal.
    is_old: bool,
    server: usize,
    cut: Cut,
}

impl Request {
    fn draw(rng: &mut Rng) -> Self {
        let mut below = |most: u64| rng.next_u64() % most;
        let action = Action::ALL[usize::try_from(below(5)).expect("it is small")];
        let (is_old, server) = (below(3) == 0, usize::from(below(2) == 0));
        // A third is not dropped: it is answered long before.
        let most = [400, 3200, 20_000_000][usize::try_from(below(3)).expect("it is small")];
        Self {
            action,
            is_old,
            server,
            cut: Cut::After(Duration::from_micros(below(most))),
        }
    }
}

/// Two servers on one Redis.
struct Servers {
    redis: RedisServer,
    apps: [Router; 2],
    sessions: [Sessions; 2],
    /// The number of tasks of the connections.
    tasks: usize,
}

impl Servers {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let layer = async || {
            let store = generous::connect(redis.url(), "cloakroom").await;
            generous::layer(store.expect("Redis runs"))
        };
        let layers = [layer().await, layer().await];
        let sessions = layers.each_ref().map(SessionLayer::sessions);
        let mut servers = Self {
            redis,
            apps: layers.map(app),
            sessions,
            tasks: 0,
        };
        // Both connections are used, so that all their tasks are running.
        for server in 0..2 {
            servers.browser(server).await;
        }
        servers.tasks = fewest_tasks().await;
        servers
    }

    /// A browser in which the owner is signed in, with an entry by which the session is known.
    async fn browser(&self, server: usize) -> Browser {
        let mut browser = Browser::new(self.apps[server].clone());
        let response = browser
            .request(|session: Session| async move {
                session.insert("mark", true)?;
                session.sign_in(OWNER).await
            })
            .await;
        assert_eq!(response.status, 200, "{}", response.text());
        browser
    }

    /// Waits until nothing is under way: no task, and no command that a dropped request has sent. Redis
    /// executes the commands of a connection in their order.
    async fn settled(&self) {
        let settled = async || alive_tasks() <= self.tasks;
        within("background tasks end", PATIENCE, settled).await;
        let unknown = "00000000-0000-7000-8000-000000000000".parse();
        let unknown: SessionId = unknown.expect("an id");
        for sessions in &self.sessions {
            let found = sessions.find(unknown).await;
            assert!(found.expect("it answers").is_none());
        }
    }

    /// The entries of the live sessions. All keys expire some day.
    fn live(&self) -> Vec<Entries> {
        let keys = self.redis.keys_with_ttl();
        assert!(keys.iter().all(|(_, ttl)| ttl.is_some()), "{keys:?}");
        let values = keys
            .iter()
            .map(|(key, _)| self.redis.command(&["GET", key]));
        let records = values.filter_map(|value| match value {
            Reply::Bytes(value) => codec::decode(&value).ok(),
            // The index of a user is not a string.
            _ => None,
        });
        let live = records.filter_map(|stored| match stored {
            Stored::Record(record) => Some(record.entries().clone()),
            Stored::Tombstone(_) => None,
        });
        live.collect()
    }

    /// What a browser shows: the same on both servers.
    async fn look(&self, browser: &Browser) -> String {
        let mut shown = Vec::new();
        for app in &self.apps {
            let look = |session: Session| async move {
                let user = session.user().map(|user| user.to_string());
                Ok(format!("{user:?} {:?}", session.keys()))
            };
            let response = browser.on(app.clone()).request(look).await;
            assert_eq!(response.status, 200, "{}", response.text());
            shown.push(response.text().to_owned());
        }
        assert_eq!(shown[0], shown[1], "both servers know the same");
        shown.swap_remove(0)
    }
}

const NOTHING: &str = "None []";

/// What a round of requests was, and what it left.
struct Round<'a> {
    servers: &'a Servers,
    requests: Vec<Request>,
    responses: Vec<Option<TestResponse>>,
    /// Everything that a browser may hold afterwards.
    browsers: Vec<Browser>,
    old: Browser,
}

impl<'a> Round<'a> {
    async fn run(servers: &'a Servers, rng: &mut Rng) -> Self {
        servers.redis.command(&["FLUSHALL"]);
        let mut browser = servers.browser(0).await;
        let old = browser.clone();
        let response = browser.request_with(Action::Renew.handler(0)).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let count = 2 + rng.next_u64() % 2;
        let requests: Vec<_> = (0..count).map(|_| Request::draw(rng)).collect();
        let sent = requests.iter().zip(1..).map(|(request, tag)| {
            let from = if request.is_old { &old } else { &browser };
            let mut browser = from.on(servers.apps[request.server].clone());
            async move {
                let handler = request.action.handler(tag);
                let response = request.cut.of(browser.request_with(handler)).await;
                (response, browser)
            }
        });
        let sent = join_all(sent).await;
        servers.settled().await;
        let (responses, mut browsers): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
        browsers.push(browser);
        Self {
            servers,
            requests,
            responses,
            browsers,
            old,
        }
    }

    fn count(&self, is_counted: impl Fn(Action) -> bool) -> usize {
        let actions = self.requests.iter().map(|request| request.action);
        actions.filter(|action| is_counted(*action)).count()
    }

    async fn check(&self) {
        let live = self.servers.live();
        for entries in &live {
            let number = |key| entries.get::<u64>(key).expect("a number");
            assert_eq!(number("left"), number("right"), "half of an edit");
            let user = Authentication::of(entries);
            let user = user.map(|user| user.user().to_string());
            assert_eq!(user.as_deref(), Some(OWNER), "a session of nobody");
        }
        let listed = self.servers.sessions[0]
            .count(OWNER)
            .await
            .expect("it counts");
        assert_eq!(listed, live.len(), "every live session is listed");
        let sign_ins = self.count(|action| action == Action::SignIn);
        let ends = self.count(Action::ends);
        let least = usize::from(ends == 0);
        let most = 1 + sign_ins;
        assert!((least..=most).contains(&live.len()), "{} live", live.len());
        let answered = |ended: &Option<TestResponse>| {
            ended
                .as_ref()
                .is_some_and(|response| response.text() == "Ended")
        };
        if sign_ins == 0 && self.responses.iter().any(answered) {
            assert_eq!(live.len(), 0, "an end that was confirmed stands");
        }
        for response in self.responses.iter().flatten() {
            assert_eq!(response.status, 200, "{}", response.text());
        }
        assert_eq!(
            self.servers.look(&self.old).await,
            NOTHING,
            "the old cookie"
        );
        self.revoked_sessions_stay_ended().await;
    }

    /// Whatever a browser may hold, it is worthless afterwards.
    async fn revoked_sessions_stay_ended(&self) {
        let revoked = self.servers.sessions[0].revoke_all(OWNER, RevokedBy::Admin);
        revoked.await.expect("they end");
        for browser in &self.browsers {
            assert_eq!(self.servers.look(browser).await, NOTHING);
            // After a sign-out there is no cookie, and an edit is a new visitor's.
            if browser.cookie().is_some() {
                let edit = Action::Edit.handler(99);
                browser.clone().request_with(edit).await;
            }
        }
        self.servers.settled().await;
        assert_eq!(self.servers.live().len(), 0, "nothing comes back");
    }
}

/// How often each action was dropped and answered, with each cookie.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, [u32; 2]>);

impl Tally {
    fn add(&mut self, round: &Round<'_>) {
        for (request, response) in round.requests.iter().zip(&round.responses) {
            let cookie = if request.is_old { "old" } else { "current" };
            let name = format!("{:?}, {cookie}", request.action);
            self.0.entry(name).or_default()[usize::from(response.is_some())] += 1;
        }
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.0.len(), 2 * Action::ALL.len(), "{self:?}");
        let both = |counts: &[u32; 2]| counts.iter().all(|count| *count > 0);
        assert!(self.0.values().all(both), "dropped, answered: {self:?}");
    }
}

/// Runs rounds, and prints the one that fails.
pub(super) async fn rounds(count: u64) {
    let servers = Servers::start().await;
    let mut tally = Tally::default();
    for seed in 0..count {
        let mut rng = Rng::new(seed);
        let round = Round::run(&servers, &mut rng).await;
        tally.add(&round);
        let story = format!("seed {seed}: {:#?}", round.requests);
        let checked = std::panic::AssertUnwindSafe(round.check());
        let checked = futures_util::FutureExt::catch_unwind(checked).await;
        assert!(checked.is_ok(), "{story}");
    }
    tally.check();
}
