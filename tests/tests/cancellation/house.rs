//! Two servers on one Redis, each with one connection, and who comes there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use cloakroom::{EndedMeanwhile, SessionLayer, hours};
use cloakroom_core::ManualClock;
use cloakroom_core::codec::{self, Stored};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::app::app;
use tests::browser::{Answer, Browser, Effect};
use tests::faults::{CountingStore, Verb};
use tests::redis::RedisServer;
use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::cut::Cut;
use super::deed::{Deed, Guest, View, look};

/// How many others use the connection on which requests are cut off.
const WITNESSES: usize = 3;

/// All keys with their times to live and their values, in one command.
const EVERYTHING: &str = "
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        table.insert(all, {key, tostring(redis.call('PTTL', key)), redis.call('GET', key)})
    end
    return all";

pub(crate) struct House {
    redis: RedisServer,
    stores: [CountingStore<RedisStore>; 2],
    /// The tasks of the connections.
    tasks: usize,
}

impl House {
    pub(crate) async fn open() -> Self {
        let redis = RedisServer::start();
        let connect = async || {
            let store = RedisStore::connect(redis.url()).await;
            CountingStore::new(store.expect("it runs"))
        };
        let stores = [connect().await, connect().await];
        let mut house = Self {
            redis,
            stores,
            tasks: 0,
        };
        // Both connections are in use, and all their tasks run.
        for (number, app) in house.apps(&ManualClock::default()).into_iter().enumerate() {
            Guest::begin(Browser::new(app), format!("first-{number}")).await;
        }
        house.tasks = fewest_tasks().await;
        house
    }

    fn apps(&self, clock: &ManualClock) -> [Router; 2] {
        self.stores.each_ref().map(|store| {
            let builder = SessionLayer::builder(store.clone()).with_clock(clock.clone());
            app(builder.build().expect("it is valid"))
        })
    }

    fn forget_commands(&self) {
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
                let mark = record.entries().get("mark").expect("a text");
                *live.entry(mark.expect("all are marked")).or_default() += 1;
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
pub(crate) struct Evening<'a> {
    house: &'a House,
    clock: ManualClock,
    apps: [Router; 2],
    witnesses: Vec<Guest>,
    /// Whose requests are cut off.
    guest: Guest,
    /// Who has a cookie of a session that is over.
    over: Vec<Browser>,
    signs: u32,
}

impl<'a> Evening<'a> {
    pub(crate) async fn begin(house: &'a House) -> Self {
        let clock = ManualClock::default();
        let apps = house.apps(&clock);
        let begin = |mark| Guest::begin(Browser::new(apps[0].clone()), mark);
        let witnesses = (0..WITNESSES).map(|number| begin(format!("witness-{number}")));
        Self {
            witnesses: join_all(witnesses).await,
            guest: begin(String::from("guest-0")).await,
            house,
            clock,
            apps,
            over: Vec::new(),
            signs: 0,
        }
    }

    /// Takes in a request, cuts it off, and looks at what is left. Tells whether it was answered.
    pub(crate) async fn receive(&mut self, deed: Deed, cut: Cut, in_company: bool) -> bool {
        if deed == Deed::Touch {
            // More than the tenth of a day after which a use is written down.
            self.clock.advance(hours(3));
        }
        let mut browser = match deed {
            Deed::Begin => Browser::new(self.apps[0].clone()),
            _ => self.guest.browser.clone(),
        };
        let signs: Vec<u32> = (0..6).map(|step| self.signs + 2 * step + 1).collect();
        self.signs += 12;
        let request = browser.perform(deed.act(signs[0]));
        let company = self.keep_company(if in_company { &signs[1..4] } else { &[] });
        self.house.forget_commands();
        let (answer, (counted, perhaps)) = tokio::join!(cut.of(request), company);
        self.guest.counted += counted;
        self.guest.perhaps += perhaps;
        let commands = self.house.stores[0].take_verbs();
        if deed == Deed::Touch && answer.is_some() && !in_company {
            assert_eq!(commands, [Verb::Load, Verb::Touch]);
        }

        let witnesses = self.witnesses.iter_mut();
        join_all(witnesses.map(|witness| witness.count_alone(signs[5]))).await;
        self.house.settled().await;
        let answered = answer.is_some();
        match answer {
            Some(answer) => self.judge(deed, &answer, browser).await,
            None => self.judge_dropped(deed).await,
        }
        answered
    }

    /// Other requests of the guest's session, on both servers. How many have counted, and how many
    /// perhaps.
    async fn keep_company(&self, signs: &[u32]) -> (u32, u32) {
        let (mut counted, mut perhaps) = (0, 0);
        for (number, sign) in signs.iter().enumerate() {
            let app = self.apps[(number + 1) % 2].clone();
            let mut browser = self.guest.browser.on(app);
            let answer = browser.perform(Deed::Count.act(*sign)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.effect(), Effect::Nothing);
            let seen = View::parse(answer.text());
            if seen == View::default() {
                continue; // It was over by then.
            }
            assert_eq!(seen.mark, self.guest.mark);
            match answer.extension::<EndedMeanwhile>() {
                None => counted += 1,
                Some(_) => perhaps += 1,
            }
        }
        (counted, perhaps)
    }

    async fn judge(&mut self, deed: Deed, answer: &Answer, browser: Browser) {
        assert_eq!(answer.status, 200, "{deed:?}: {}", answer.text());
        if deed == Deed::Begin {
            assert!(answer.text().starts_with("begun-"), "{}", answer.text());
            return assert_eq!(answer.effect(), Effect::Set);
        }
        assert_eq!(View::parse(answer.text()).mark, self.guest.mark, "{deed:?}");
        self.guest.counted += deed.counts();
        let old = std::mem::replace(&mut self.guest.browser, browser);
        match deed {
            Deed::Destroy => {
                assert!(answer.text().ends_with(" Ended"), "{}", answer.text());
                assert_eq!(answer.effect(), Effect::Removed);
                assert_eq!(self.look(&old).await, None, "an ending stands");
                self.over.push(old);
                return self.next_guest().await;
            }
            Deed::Renew => {
                assert_eq!(answer.effect(), Effect::Set);
                assert_eq!(self.look(&old).await, None, "a renewal ends the old");
                self.over.push(old);
            }
            _ => assert_eq!(answer.effect(), Effect::Nothing),
        }
        self.house.forget_commands();
        let seen = self.look(&self.guest.browser).await;
        self.guest.check(&seen.expect("nobody ended it"));
        for store in &self.house.stores {
            assert_eq!(store.take_verbs(), [Verb::Load], "the use is written down");
        }
    }

    async fn judge_dropped(&mut self, deed: Deed) {
        self.guest.perhaps += deed.counts();
        let may_end = matches!(deed, Deed::Destroy | Deed::Renew);
        match self.look(&self.guest.browser).await {
            Some(seen) => self.guest.check(&seen),
            None if may_end => {
                self.over.push(self.guest.browser.clone());
                self.next_guest().await;
            }
            None => panic!("{deed:?} does not end a session"),
        }
    }

    /// What a browser's cookie opens, here and there.
    async fn look(&self, browser: &Browser) -> Option<View> {
        let here = look(browser.on(self.apps[0].clone())).await;
        let there = look(browser.on(self.apps[1].clone())).await;
        assert_eq!(here, there, "both servers know the same");
        here
    }

    async fn next_guest(&mut self) {
        let mark = format!("guest-{}", self.over.len());
        self.guest = Guest::begin(Browser::new(self.apps[0].clone()), mark).await;
    }

    /// Looks once more at all that was.
    pub(crate) async fn end(self) {
        for over in &self.over {
            assert_eq!(self.look(over).await, None, "what is over stays over");
        }
        self.house.clear();
    }
}

/// How many requests were dropped, and how many answered.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, [u32; 2]>);

impl Tally {
    pub(crate) fn add(&mut self, deed: Deed, answered: bool) {
        let counts = self.0.entry(format!("{deed:?}")).or_default();
        counts[usize::from(answered)] += 1;
    }

    /// Every kind of request was dropped, and answered.
    #[track_caller]
    pub(crate) fn check(&self) {
        let both = |counts: &[u32; 2]| counts.iter().all(|count| *count > 0);
        assert_eq!(self.0.len(), Deed::ALL.len(), "{self:?}");
        assert!(self.0.values().all(both), "dropped, answered: {self:?}");
    }
}
