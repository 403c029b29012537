//! Requests that are dropped at any moment, on a real Redis: what they leave behind, and that nobody
//! after them on the same connection gets what was meant for them.

mod cut;
mod deed;
mod house;

use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tests::long::times;

use self::cut::{Cut, Walk};
use self::deed::Deed;
use self::house::{Evening, House, Tally};

/// How many requests come in one evening: then all that is left is looked at.
const REQUESTS: usize = 42;

/// Cuts every kind of request off at each of its awaits in turn.
async fn at_every_await(evenings: usize) -> Tally {
    let house = House::open().await;
    let mut walks = Deed::ALL.map(|deed| (deed, Walk::default()));
    let mut tally = Tally::default();
    for _ in 0..evenings {
        let mut evening = Evening::begin(&house).await;
        for request in 0..REQUESTS {
            let (deed, walk) = &mut walks[request % Deed::ALL.len()];
            let answered = evening.receive(*deed, walk.cut(), false).await;
            walk.step(answered);
            tally.add(*deed, answered);
        }
        evening.end().await;
    }
    tally
}

/// Cuts requests off at random moments; in company, while others of the same session come in on both
/// servers.
async fn at_random_moments(evenings: usize, in_company: bool) -> Tally {
    let house = House::open().await;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut tally = Tally::default();
    for _ in 0..evenings {
        let mut evening = Evening::begin(&house).await;
        for request in 0..REQUESTS {
            let deed = Deed::ALL[request % Deed::ALL.len()];
            // Short ones are more likely: that is where things happen.
            let most = [100, 400, 1600, 6400][request % 4];
            let time = Duration::from_micros(u64::from(random.next_u32() % most));
            let answered = evening.receive(deed, Cut::After(time), in_company).await;
            tally.add(deed, answered);
        }
        evening.end().await;
    }
    tally
}

#[tokio::test]
async fn requests_dropped_at_every_await() {
    at_every_await(times(20, 1500)).await.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_dropped_at_every_await_beside_busy_threads() {
    at_every_await(times(20, 1500)).await.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_dropped_at_random_moments() {
    at_random_moments(times(20, 1500), false).await.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_dropped_while_others_use_the_session_on_two_servers() {
    at_random_moments(times(20, 1500), true).await.check();
}
