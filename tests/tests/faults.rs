//! Every fault once, under load. `scripts/faults` repeats them and prints a table.

use std::future::Future;

use tests::chaos::Outcome;
use tests::chaos::faults;
use tokio::sync::Semaphore;

/// Runs two tests at a time, which mostly wait: with more, requests would take longer than the tests allow.
static AT_A_TIME: Semaphore = Semaphore::const_new(2);

async fn check(fault: impl Future<Output = Outcome>) {
    let _permit = AT_A_TIME.acquire().await.expect("it is never closed");
    let outcome = fault.await;
    if let Err(violations) = outcome.verify() {
        panic!("{violations}");
    }
}

macro_rules! fault_tests {
    ($($fault:ident),* $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $fault() {
            check(faults::$fault()).await;
        }
    )* };
}

tests::every_fault!(fault_tests);
