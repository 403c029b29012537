//! Two servers on one Redis, each with one connection, and their clients.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use cloakroom::{EndedConcurrently, hours};
use cloakroom_core::ManualClock;
use cloakroom_core::codec::{self, Stored};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::app::app;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::faulty_store::{CountingStore, Verb};
use tests::generous;
use tests::redis::RedisServer;
use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::action::{Action, TestUser, View, look};
use super::cut::Cut;

/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How many other clients use the connection on which requests are cancelled.
const BYSTANDERS: usize = 3;

/// A script that returns all keys with TTL and value.
const EVERYTHING: &str = "
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        table.insert(all, {key, tostring(redis.call('PTTL', key)), redis.call('GET', key)})
    end
    return all";

pub(crate) struct Harness {
    redis: RedisServer,
    stores: [CountingStore<RedisStore>; 2],
    /// The number of tasks of the connections.
    tasks: usize,
}

impl Harness {
    pub(crate) async fn open() -> Self {
        let redis = RedisServer::start();
        let connect = async || {
            let store = generous::connect(redis.url(), "cloakroom").await;
            CountingStore::new(store.expect("the server is running"))
        };
        let stores = [connect().await, connect().await];
        let mut harness = Self {
            redis,
            stores,
            tasks: 0,
        };
        // Uses both connections, so that all their tasks are running.
        for (number, app) in harness
            .apps(&ManualClock::default())
            .into_iter()
            .enumerate()
        {
            TestUser::begin(Browser::new(app), format!("first-{number}")).await;
        }
        harness.tasks = fewest_tasks().await;
        harness
    }

    fn apps(&self, clock: &ManualClock) -> [Router; 2] {
        self.stores.each_ref().map(|store| {
            let builder = generous::layer_builder(store.clone()).with_clock(clock.clone());
            app(builder.build().expect("it is valid"))
        })
    }

    fn clear_commands(&self) {
        for store in &self.stores {
            drop(store.take_verbs());
        }
    }

    /// Waits until all background tasks are done.
    async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while alive_tasks() > self.tasks {
            assert!(Instant::now() < deadline, "a background task never ends");
            yield_now().await;
        }
    }

    /// Checks all keys in Redis, and deletes them.
    fn clear(&self) {
        let mut live: BTreeMap<String, u32> = BTreeMap::new();
        for kept in self.redis.command(&["EVAL", EVERYTHING, "0"]).list() {
            let mut parts = kept.list().into_iter().map(tests::resp::Reply::text);
            let mut next = || parts.next().expect("three parts");
            let (key, ttl, value) = (next(), next(), next());
            let ttl: i64 = ttl.parse().expect("a number");
            assert!(ttl > 0, "{key} lives on for {ttl} ms: {value}");
            if let Stored::Record(record) = codec::decode(value.as_bytes()).expect("it is ours") {
                let owner = record.entries().get("mark").expect("a text");
                *live.entry(owner.expect("all are marked")).or_default() += 1;
            }
            self.redis.command(&["DEL", &key]);
        }
        assert!(live.values().all(|count| *count == 1), "twice: {live:?}");
    }
}

/// The number of tasks without any background work: the minimum over some time.
pub(super) async fn fewest_tasks() -> usize {
    let began = Instant::now();
    let mut fewest = alive_tasks();
    while began.elapsed() < Duration::from_millis(200) {
        yield_now().await;
        fewest = fewest.min(alive_tasks());
    }
    fewest
}

pub(super) fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A round of requests, on new sessions.
pub(crate) struct Round<'a> {
    harness: &'a Harness,
    clock: ManualClock,
    apps: [Router; 2],
    bystanders: Vec<TestUser>,
    /// The user whose requests are cancelled.
    user: TestUser,
    /// Browsers with a cookie of an ended session.
    ended: Vec<Browser>,
    tags: u32,
}

impl<'a> Round<'a> {
    pub(crate) async fn begin(harness: &'a Harness) -> Self {
        let clock = ManualClock::default();
        let apps = harness.apps(&clock);
        let begin = |owner| TestUser::begin(Browser::new(apps[0].clone()), owner);
        let bystanders = (0..BYSTANDERS).map(|number| begin(format!("witness-{number}")));
        Self {
            bystanders: join_all(bystanders).await,
            user: begin(String::from("user-0")).await,
            harness,
            clock,
            apps,
            ended: Vec::new(),
            tags: 0,
        }
    }

    /// Runs a request, cancels it, and checks the state afterwards. Returns whether it completed.
    pub(crate) async fn run_request(&mut self, action: Action, cut: Cut, concurrent: bool) -> bool {
        if action == Action::Touch {
            // More than a tenth of a day, after which last-seen is updated.
            self.clock.advance(hours(3));
        }
        let mut browser = match action {
            Action::Begin => Browser::new(self.apps[0].clone()),
            _ => self.user.browser.clone(),
        };
        let tags: Vec<u32> = (0..6).map(|step| self.tags + 2 * step + 1).collect();
        self.tags += 12;
        let request = browser.request_with(action.handler(tags[0]));
        let others = self.concurrent_requests(if concurrent { &tags[1..4] } else { &[] });
        self.harness.clear_commands();
        let (response, (counted, maybe_counted)) = tokio::join!(cut.of(request), others);
        self.user.counted += counted;
        self.user.maybe_counted += maybe_counted;
        let commands = self.harness.stores[0].take_verbs();
        if action == Action::Touch && response.is_some() && !concurrent {
            assert_eq!(commands, [Verb::Load, Verb::Touch]);
        }

        let bystanders = self.bystanders.iter_mut();
        join_all(bystanders.map(|bystander| bystander.count_undisturbed(tags[5]))).await;
        self.harness.settled().await;
        let answered = response.is_some();
        match response {
            Some(response) => self.check_answered(action, &response, browser).await,
            None => self.check_dropped(action).await,
        }
        answered
    }

    /// Concurrent requests of the same session on both servers. Returns how many have incremented the
    /// counter, and how many may have.
    async fn concurrent_requests(&self, tags: &[u32]) -> (u32, u32) {
        let (mut counted, mut maybe_counted) = (0, 0);
        for (number, tag) in tags.iter().enumerate() {
            let app = self.apps[(number + 1) % 2].clone();
            let mut browser = self.user.browser.on(app);
            let response = browser.request_with(Action::Count.handler(*tag)).await;
            assert_eq!(response.status, 200, "{}", response.text());
            assert_eq!(response.cookie_change(), CookieChange::Nothing);
            let seen = View::parse(response.text());
            if seen == View::default() {
                continue; // It was over by then.
            }
            assert_eq!(seen.owner, self.user.owner);
            match response.extension::<EndedConcurrently>() {
                None => counted += 1,
                Some(_) => maybe_counted += 1,
            }
        }
        (counted, maybe_counted)
    }

    async fn check_answered(&mut self, action: Action, response: &TestResponse, browser: Browser) {
        assert_eq!(response.status, 200, "{action:?}: {}", response.text());
        if action == Action::Begin {
            assert!(response.text().starts_with("begun-"), "{}", response.text());
            return assert_eq!(response.cookie_change(), CookieChange::Set);
        }
        assert_eq!(
            View::parse(response.text()).owner,
            self.user.owner,
            "{action:?}"
        );
        self.user.counted += action.counts();
        let old = std::mem::replace(&mut self.user.browser, browser);
        match action {
            Action::Destroy => {
                assert!(response.text().ends_with(" Ended"), "{}", response.text());
                assert_eq!(response.cookie_change(), CookieChange::Removed);
                assert_eq!(self.look(&old).await, None, "an ending stands");
                self.ended.push(old);
                return self.next_user().await;
            }
            Action::Renew => {
                assert_eq!(response.cookie_change(), CookieChange::Set);
                assert_eq!(self.look(&old).await, None, "a renewal ends the old");
                self.ended.push(old);
            }
            _ => assert_eq!(response.cookie_change(), CookieChange::Nothing),
        }
        self.harness.clear_commands();
        let seen = self.look(&self.user.browser).await;
        self.user.check(&seen.expect("it was not ended"));
        for store in &self.harness.stores {
            assert_eq!(store.take_verbs(), [Verb::Load], "last-seen is up to date");
        }
    }

    async fn check_dropped(&mut self, action: Action) {
        self.user.maybe_counted += action.counts();
        let may_end = matches!(action, Action::Destroy | Action::Renew);
        match self.look(&self.user.browser).await {
            Some(seen) => self.user.check(&seen),
            None if may_end => {
                self.ended.push(self.user.browser.clone());
                self.next_user().await;
            }
            None => panic!("{action:?} does not end a session"),
        }
    }

    /// A view of a browser's session, which must be the same on both servers.
    async fn look(&self, browser: &Browser) -> Option<View> {
        let here = look(browser.on(self.apps[0].clone())).await;
        let there = look(browser.on(self.apps[1].clone())).await;
        assert_eq!(here, there, "both servers know the same");
        here
    }

    async fn next_user(&mut self) {
        let owner = format!("user-{}", self.ended.len());
        self.user = TestUser::begin(Browser::new(self.apps[0].clone()), owner).await;
    }

    /// Checks that every ended session stays ended.
    pub(crate) async fn end(self) {
        for ended in &self.ended {
            assert_eq!(self.look(ended).await, None, "an ended session stays ended");
        }
        self.harness.clear();
    }
}

/// How many requests were dropped, and how many completed.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, [u32; 2]>);

impl Tally {
    pub(crate) fn add(&mut self, action: Action, answered: bool) {
        let counts = self.0.entry(format!("{action:?}")).or_default();
        counts[usize::from(answered)] += 1;
    }

    /// Checks that every kind of request was dropped, and completed, at least once.
    #[track_caller]
    pub(crate) fn check(&self) {
        let both = |counts: &[u32; 2]| counts.iter().all(|count| *count > 0);
        assert_eq!(self.0.len(), Action::ALL.len(), "{self:?}");
        assert!(self.0.values().all(both), "dropped, answered: {self:?}");
    }
}
