//! Every fault once, under load. `scripts/faults` runs them again and again and prints what came of it.

use std::future::Future;

use tests::chaos::Outcome;
use tests::chaos::faults;
use tokio::sync::Mutex;

/// Each has the machine for itself: how long a request takes is part of what is tested.
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
