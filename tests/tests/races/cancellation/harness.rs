//! Two servers on one Redis, each with one connection, and who comes there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use cloakroom::core::ManualClock;
use cloakroom::{EndedMeanwhile, SessionLayer, hours};
use cloakroom_core::codec::{self, Stored};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::app::app;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::faulty_store::{CountingStore, Verb};
use tests::redis::RedisServer;
use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::action::{Action, TestUser, View, look};
use super::cut::Cut;

/// How many others use the connection on which requests are cut off.
const BYSTANDERS: usize = 3;

/// All keys with their times to live and their values, in one command.
const EVERYTHING: &str = "
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        table.insert(all, {key, tostring(redis.call('PTTL', key)), redis.call('GET', key)})
    end
    return all";

pub(crate) struct Harness {
    redis: RedisServer,
    stores: [CountingStore<RedisStore>; 2],
    /// The tasks of the connections.
    tasks: usize,
}

impl Harness {
    pub(crate) async fn open() -> Self {
        let redis = RedisServer::start();
        let connect = async || {
            let store = RedisStore::connect(redis.url()).await;
            CountingStore::new(store.expect("it runs"))
        };
        let stores = [connect().await, connect().await];
        let mut harness = Self {
            redis,
            stores,
            tasks: 0,
        };
        // Both connections are in use, and all their tasks run.
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
        let layer = |store: &CountingStore<RedisStore>| SessionLayer::new(store.clone());
        self.stores
            .each_ref()
            .map(|store| app(layer(store).with_clock(clock.clone())))
    }

    fn clear_commands(&self) {
        for store in &self.stores {
            drop(store.take_verbs());
        }
    }

    /// Waits until all that goes on without a request is done.
    async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while alive_tasks() > self.tasks {
            assert!(Instant::now() < deadline, "something never ends");
            yield_now().await;
        }
    }

    /// Checks all that Redis holds, and removes it.
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

/// How many tasks are alive when nothing is left to be done beside a request: the fewest of a while.
async fn fewest_tasks() -> usize {
    let began = Instant::now();
    let mut fewest = alive_tasks();
    while began.elapsed() < Duration::from_millis(200) {
        yield_now().await;
        fewest = fewest.min(alive_tasks());
    }
    fewest
}

fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Some requests, on sessions that begin with the evening.
pub(crate) struct Round<'a> {
    harness: &'a Harness,
    clock: ManualClock,
    apps: [Router; 2],
    bystanders: Vec<TestUser>,
    /// Whose requests are cut off.
    user: TestUser,
    /// Who has a cookie of a session that is over.
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
            user: begin(String::from("guest-0")).await,
            harness,
            clock,
            apps,
            ended: Vec::new(),
            tags: 0,
        }
    }

    /// Takes in a request, cuts it off, and looks at what is left. Tells whether it was answered.
    pub(crate) async fn run_request(&mut self, action: Action, cut: Cut, concurrent: bool) -> bool {
        if action == Action::Touch {
            // More than the tenth of a day after which a use is written down.
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

    /// Other requests of the guest's session, on both servers. How many have counted, and how many
    /// perhaps.
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
            match response.extension::<EndedMeanwhile>() {
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
        self.user.check(&seen.expect("nobody ended it"));
        for store in &self.harness.stores {
            assert_eq!(store.take_verbs(), [Verb::Load], "the use is written down");
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

    /// What a browser's cookie opens, here and there.
    async fn look(&self, browser: &Browser) -> Option<View> {
        let here = look(browser.on(self.apps[0].clone())).await;
        let there = look(browser.on(self.apps[1].clone())).await;
        assert_eq!(here, there, "both servers know the same");
        here
    }

    async fn next_user(&mut self) {
        let owner = format!("guest-{}", self.ended.len());
        self.user = TestUser::begin(Browser::new(self.apps[0].clone()), owner).await;
    }

    /// Looks once more at all that was.
    pub(crate) async fn end(self) {
        for ended in &self.ended {
            assert_eq!(self.look(ended).await, None, "what is over stays over");
        }
        self.harness.clear();
    }
}

/// How many requests were dropped, and how many answered.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, [u32; 2]>);

impl Tally {
    pub(crate) fn add(&mut self, action: Action, answered: bool) {
        let counts = self.0.entry(format!("{action:?}")).or_default();
        counts[usize::from(answered)] += 1;
    }

    /// Every kind of request was dropped, and answered.
    #[track_caller]
    pub(crate) fn check(&self) {
        let both = |counts: &[u32; 2]| counts.iter().all(|count| *count > 0);
        assert_eq!(self.0.len(), Action::ALL.len(), "{self:?}");
        assert!(self.0.values().all(both), "dropped, answered: {self:?}");
    }
}
