//! Requests that are dropped at any moment, on a real Redis: the state they leave behind, and that later
//! requests on the same connection never get their replies.

mod action;
mod concurrent;
mod cut;
mod harness;

use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tests::iterations::times;

use self::action::Action;
use self::cut::{Cut, CutSequence};
use self::harness::{Harness, Round, Tally};

/// The number of requests per round; after each round, all stored keys are checked.
const REQUESTS: usize = 42;

/// Cancels every kind of request at each of its awaits in turn.
async fn at_every_await(rounds: usize) -> Tally {
    let harness = Harness::open().await;
    let mut sequences = Action::ALL.map(|action| (action, CutSequence::default()));
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let mut round = Round::begin(&harness).await;
        for request in 0..REQUESTS {
            let (action, sequence) = &mut sequences[request % Action::ALL.len()];
            let answered = round.run_request(*action, sequence.cut(), false).await;
            sequence.step(answered);
            tally.add(*action, answered);
        }
        round.end().await;
    }
    tally
}

/// Cancels requests at random moments; if `concurrent`, while others use the same session on both
/// servers.
async fn at_random_moments(rounds: usize, concurrent: bool) -> Tally {
    let harness = Harness::open().await;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let mut round = Round::begin(&harness).await;
        for request in 0..REQUESTS {
            let action = Action::ALL[request % Action::ALL.len()];
            // Short times are more likely: most steps happen early.
            let most = [100, 400, 1600, 6400][request % 4];
            let time = Duration::from_micros(u64::from(random.next_u32() % most));
            let answered = round
                .run_request(action, Cut::After(time), concurrent)
                .await;
            tally.add(action, answered);
        }
        round.end().await;
    }
    tally
}

#[tokio::test]
async fn requests_dropped_at_every_await() {
    at_every_await(times(20, 1500)).await.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_dropped_at_every_await_on_two_threads() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_dropped_two_and_three_at_once_with_old_cookies() {
    concurrent::rounds(times(120, 5000)).await;
}
