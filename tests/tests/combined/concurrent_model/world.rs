//! Two servers on a store whose commands run in a random order, and one browser.

use axum::Router;
use cloakroom::{MemoryStore, RevokedBy, SessionLayer};
use cloakroom_core::ManualClock;
use http::Method;
use tests::rng::Rng;
use tests::scheduled_store::{Schedule, ScheduledStore};
use tests::user_agent::{Incoming, UserAgent};

use super::model::{After, Broken, Outcome, Round};
use super::request::{Request, below};
use crate::app::{self, MARKS, Seen};
use crate::setup::{Features, Storage, layer};

pub(super) struct World {
    rng: Rng,
    storage: Storage,
    schedule: Schedule,
    layers: [SessionLayer; 2],
    apps: [Router; 2],
    browser: UserAgent,
    /// The browser a round ago, if what it had then was only renewed since.
    old: Option<UserAgent>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        for _ in 0..20 {
            rng.next_u64();
        }
        let clock = ManualClock::default();
        let memory = MemoryStore::with_clock(clock.clone());
        let store = ScheduledStore::new(memory.clone());
        let features = Features::default();
        let layers = [(); 2].map(|()| layer(store.clone(), &clock, &features, None));
        let apps = layers.clone().map(|layer| app::whole().layer(layer));
        Self {
            rng,
            storage: Storage::Memory(memory),
            schedule: store.schedule(),
            layers,
            apps,
            browser: UserAgent::new(),
            old: None,
        }
    }

    /// Runs a round, and returns what happened and the rules that do not hold.
    pub(super) async fn round(&mut self) -> (String, Vec<Broken>) {
        let before = self.start().await;
        // What an earlier round that may leave something over has left over.
        let left_over = self.storage.live().await.len().saturating_sub(1);
        let old = self.old.clone();
        let requests = self.draw(&before.user, old.is_some());
        let earlier = self.browser.clone();
        let responses = self.send(&requests, old.as_ref()).await;
        let order = self.shuffled(responses.len());
        for &index in &order {
            self.browser.receive(&responses[index]);
        }
        let outcomes = requests
            .iter()
            .zip(&responses)
            .map(|(request, response)| Outcome {
                request: *request,
                success: response.status.is_success(),
                text: response.text().to_owned(),
                edits_dropped: app::edits_dropped(response),
            });
        let round = Round {
            before,
            outcomes: outcomes.collect(),
        };
        let mut after = self.after(&round, &earlier).await;
        after.live -= left_over;
        let broken = round.judge(&after);
        let story = self.story(&round, &order);
        if round.ended() || round.is_mixed() || round.signs_in_beside_a_renewal() {
            self.forget().await;
        } else {
            self.old = Some(earlier);
        }
        (story, broken)
    }

    /// Makes sure that the browser has a session, and returns what it shows.
    async fn start(&mut self) -> Seen {
        let seen = self.see(&mut self.browser.clone()).await;
        if !seen.cart.is_empty() {
            return seen;
        }
        self.old = None;
        self.browser.post(&self.apps[0], "/cart/hat").await;
        if below(&mut self.rng, 3) > 0 {
            self.browser.post(&self.apps[1], "/sign-in/ada/s").await;
        }
        self.see(&mut self.browser.clone()).await
    }

    fn draw(&mut self, user: &str, old: bool) -> Vec<Request> {
        let count = 2 + below(&mut self.rng, 2);
        let marks = MARKS.iter().take(count);
        marks
            .map(|mark| Request::draw(&mut self.rng, mark, user, old))
            .collect()
    }

    async fn send(&mut self, requests: &[Request], old: Option<&UserAgent>) -> Vec<Incoming> {
        let tasks = requests.iter().map(|request| {
            let browser = old.filter(|_| request.with_old_cookies);
            let browser = browser.unwrap_or(&self.browser);
            let outgoing = browser.start(Method::POST, &request.path());
            let app = self.apps[request.server].clone();
            async move { outgoing.send(&app).await }
        });
        self.schedule.run(&mut self.rng, tasks.collect()).await
    }

    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..count).collect();
        for index in (1..count).rev() {
            order.swap(index, below(&mut self.rng, index + 1));
        }
        order
    }

    async fn after(&mut self, round: &Round, earlier: &UserAgent) -> After {
        let seen = self.see(&mut self.browser.clone()).await;
        let before_shows = self.see(&mut earlier.clone()).await;
        let live = self.storage.live().await.len();
        let user = round.expected_user();
        let of_user = if user.is_empty() {
            0
        } else {
            self.storage.count(&user).await.0
        };
        After {
            seen,
            before_shows,
            of_user,
            live,
        }
    }

    async fn see(&self, browser: &mut UserAgent) -> Seen {
        Seen::of(&browser.visit(&self.apps[0], Method::GET, "/me").await)
    }

    fn story(&self, round: &Round, order: &[usize]) -> String {
        let requests = round.outcomes.iter().map(|outcome| {
            let dropped = if outcome.edits_dropped {
                ", dropped"
            } else {
                ""
            };
            format!("{} ({}{dropped})", outcome.request, outcome.text)
        });
        let requests: Vec<_> = requests.collect();
        let commands = self.schedule.take_trace().join(" ");
        format!(
            "{:?}\n    {}\n    commands: {commands}; responses in order {order:?}",
            round.before,
            requests.join("\n    ")
        )
    }

    /// Ends all sessions and starts with a new browser: what is left over is not judged twice.
    async fn forget(&mut self) {
        for user in ["ada", "bob"] {
            let sessions = self.layers[0].sessions();
            drop(sessions.revoke_all(user, RevokedBy::Admin).await);
        }
        self.browser
            .visit(&self.apps[0], Method::POST, "/destroy")
            .await;
        self.browser = UserAgent::new();
        self.old = None;
    }
}
