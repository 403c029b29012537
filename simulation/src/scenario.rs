//! A scenario: the configuration and the requests of one history, drawn from a seed.

use std::time::Duration;

use crate::history::{Action, Terms};
use crate::rng::SeededRng;
use crate::store::{Broken, Troubles};

/// How long after the last request of a scenario each browser sends a last one, in milliseconds: longer than any
/// command takes, also in the background.
const SETTLE: u64 = 40_000;

/// The same in real time: longer than commands take on a connection that is replaced.
const SETTLE_IN_REAL_TIME: u64 = 4_000;

/// How often tokens rotate, and how long a replaced one is valid, in milliseconds: longer than a request takes with its
/// response, and than the clocks differ.
const ROTATION: (u64, u64) = (20_000, 10_000);

/// What the random numbers for [`Action::Take`] begin with. With this one, no scenario whose seed is in `regressions.txt` has such
/// requests, and none in the list of removed lines in `docs/proofs.md`, but for that about taking: these keep their meaning.
const TAKES: u64 = 1588;

/// The number of users. Browsers have one of their own, or share one.
const USERS: u64 = 2;

/// One server of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How much its clock is ahead, in milliseconds.
    pub ahead: i64,
    /// How old the records in its cache may be, in milliseconds; zero without a cache.
    pub max_staleness: u64,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from one on.
    pub number: u32,
    /// When it is sent, in milliseconds since the start.
    pub at: u64,
    /// The browser that sends it.
    pub client: usize,
    /// The server that serves it.
    pub server: usize,
    /// What it does.
    pub action: Action,
    /// Which cookie it presents: the current one, or the one that many replacements ago.
    pub former: usize,
    /// How long it takes to the server, how long the handler pauses, and how long its response takes back.
    pub there: u64,
    /// See above.
    pub pause: u64,
    /// See above. `None` if the response is lost.
    pub back: Option<u64>,
    /// When the request is interrupted, counted from when the server has received it.
    pub interrupted: Option<u64>,
}

/// One history, before it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The servers of the app.
    pub servers: Vec<Server>,
    /// The number of browsers.
    pub clients: usize,
    /// The interval and the grace period of token rotation, in milliseconds.
    pub rotation: Option<(u64, u64)>,
    /// How many sessions a user may have.
    pub session_limit: Option<u32>,
    /// Whether a sign-in is two commands.
    pub signs_in_twice: bool,
    /// What goes wrong between the servers and the store.
    pub troubles: Troubles,
    /// The promise that the store breaks.
    pub broken: Option<Broken>,
    /// The requests, in the order of their times.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Draws a scenario.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = SeededRng::new(&[seed]);
        let rotation = rng.happens(300).then_some(ROTATION);
        Self::draw(rng, seed, rotation, SETTLE)
    }

    /// Draws a scenario of a few seconds, for a store in real time: without rotation. Its servers and troubles are
    /// those of the test.
    #[must_use]
    pub fn in_real_time(seed: u64) -> Self {
        let mut scenario = Self::draw(SeededRng::new(&[seed]), seed, None, SETTLE_IN_REAL_TIME);
        // It takes too long.
        scenario
            .steps
            .retain(|step| step.action != Action::RevokeEveryone);
        scenario
    }

    fn draw(mut rng: SeededRng, seed: u64, rotation: Option<(u64, u64)>, settle: u64) -> Self {
        let session_limit = rng
            .happens(200)
            .then(|| if rng.happens(500) { 1 } else { 2 });
        let servers = draw_servers(&mut rng);
        let clients = 1 + rng.index(3);
        let mut scenario = Self {
            seed,
            clients,
            rotation,
            session_limit,
            signs_in_twice: rng.happens(300),
            troubles: Troubles::default(),
            broken: None,
            steps: draw_steps(&mut rng, servers.len(), clients, rotation.is_some()),
            servers,
        };
        scenario.draw_takes();
        let last = scenario.last_at();
        scenario.troubles = draw_troubles(&mut rng, seed, last, settle);
        // As `RedisStore` does where it waits for replicas.
        scenario.signs_in_twice |= scenario.troubles.failover.is_some();
        scenario.add_last_steps(last + settle);
        scenario
    }

    /// What is promised.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let ahead = self.servers.iter().map(|server| server.ahead);
        let skew = ahead.clone().max().unwrap_or(0) - ahead.min().unwrap_or(0);
        let troubles = &self.troubles;
        let failures =
            troubles.refused + troubles.lost_commands + troubles.lost_replies + troubles.late;
        Terms {
            max_staleness: self
                .servers
                .iter()
                .map(|server| server.max_staleness)
                .collect(),
            rotation: self.rotation,
            session_limit: self.session_limit.map(|limit| limit as usize),
            skew: skew.unsigned_abs(),
            failover: troubles.failover.map(|at| (at, troubles.lag)),
            has_failures: failures > 0 || troubles.frozen.is_some() || troubles.failover.is_some(),
        }
    }

    /// In some scenarios, some of the requests that read or append take from the mailbox instead.
    fn draw_takes(&mut self) {
        let mut rng = SeededRng::new(&[self.seed, TAKES]);
        if !rng.happens(300) {
            return;
        }
        for step in &mut self.steps {
            let may_take = matches!(step.action, Action::Read | Action::Append);
            if may_take && rng.happens(400) {
                step.action = Action::Take;
            }
        }
    }

    fn last_at(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.at)
    }

    /// In the end, when nothing goes wrong any more, every browser reads its session, and the sessions of all users are
    /// listed.
    fn add_last_steps(&mut self, at: u64) {
        let reads = (0..self.clients).map(|client| (client, Action::Read));
        let lists = (0..USERS).map(|user| (0, Action::List(as_user(user))));
        for (client, action) in reads.chain(lists) {
            let number = self.steps.last().map_or(1, |step| step.number + 1);
            let is_list = matches!(action, Action::List(_));
            self.steps.push(Step {
                number,
                at: if is_list { at + 2_000 } else { at },
                client,
                server: client % self.servers.len(),
                action,
                former: 0,
                there: 0,
                pause: 0,
                back: Some(0),
                interrupted: None,
            });
        }
    }
}

fn draw_servers(rng: &mut SeededRng) -> Vec<Server> {
    let count = 2 + rng.index(4);
    let are_skewed = rng.happens(300);
    let have_caches = rng.happens(300);
    let mut servers = Vec::with_capacity(count);
    for _ in 0..count {
        let ahead = if are_skewed { rng.below(2_000) } else { 0 };
        let caches = have_caches && rng.happens(700);
        servers.push(Server {
            ahead: i64::try_from(ahead).unwrap_or(0) - if are_skewed { 1_000 } else { 0 },
            max_staleness: if caches { 50 + rng.below(1_000) } else { 0 },
        });
    }
    servers
}

fn draw_steps(rng: &mut SeededRng, servers: usize, clients: usize, rotates: bool) -> Vec<Step> {
    let count = 4 + rng.below(16);
    let mut at = 0;
    let mut steps = Vec::new();
    for number in 1..=count {
        // Most requests are sent close together.
        at += match rng.below(10) {
            0..6 => rng.below(20),
            6..9 => rng.below(400),
            _ if rotates => rng.below(30_000),
            _ => rng.below(3_000),
        };
        let transit = |rng: &mut SeededRng| if rng.happens(500) { 0 } else { rng.below(60) };
        let former = if rng.happens(80) { 1 + rng.index(3) } else { 0 };
        steps.push(Step {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            at,
            client: rng.index(clients),
            server: rng.index(servers),
            action: draw_action(rng),
            former,
            there: transit(rng),
            pause: if rng.happens(700) { 0 } else { rng.below(200) },
            back: (!rng.happens(30)).then(|| transit(rng)),
            interrupted: rng.happens(50).then(|| rng.below(60)),
        });
    }
    steps
}

fn draw_action(rng: &mut SeededRng) -> Action {
    let user = as_user(rng.below(USERS));
    match rng.below(100) {
        0..30 => Action::Append,
        30..38 => Action::AppendAndSave,
        38..55 => Action::Read,
        55..60 => Action::Renew,
        60..66 => Action::RenewAndAppend,
        66..76 => Action::SignIn(user),
        76..84 => Action::AppendAndSignIn(user),
        84..91 => Action::SignOut,
        91..96 => Action::RevokeOthers,
        96..99 => Action::RevokeAll(user),
        _ => Action::RevokeEveryone,
    }
}

fn draw_troubles(rng: &mut SeededRng, seed: u64, last: u64, settle: u64) -> Troubles {
    let mut troubles = Troubles {
        seed,
        max_delay: if rng.happens(100) { 0 } else { rng.below(40) },
        end: Some(last + settle / 2),
        ..Troubles::default()
    };
    match rng.below(10) {
        0..4 => {}
        4..8 => {
            troubles.refused = rng.below(60);
            troubles.lost_commands = rng.below(60);
            troubles.lost_replies = rng.below(100);
            troubles.late = rng.below(60);
        }
        8 => {
            let from = rng.below(last + 1);
            troubles.frozen = Some((from, from + rng.below(3_000)));
        }
        _ => {
            troubles.failover = Some(rng.below(last + 200));
            troubles.lag = rng.below(80);
        }
    }
    troubles
}

fn as_user(user: u64) -> u32 {
    u32::try_from(user).unwrap_or(u32::MAX)
}

/// The longest time that one request may wait for the store, in all.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(1);
