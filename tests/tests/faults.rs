//! Every fault once, under load. `scripts/faults` repeats them and prints a table.

use std::future::Future;

use tests::chaos::Outcome;
use tests::chaos::faults;
use tokio::sync::Mutex;

/// Runs one test at a time: the duration of requests is part of the test.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn check(fault: impl Future<Output = Outcome>) {
    let _alone = ALONE.lock().await;
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
