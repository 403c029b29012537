//! Every fault once, under load. `scripts/faults` runs them again and again and prints what came of it.

use std::future::Future;

use tests::ordeal::Outcome;
use tests::ordeal::faults;
use tokio::sync::Mutex;

/// Each has the machine for itself: how long a request takes is part of what is tested.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn survives(fault: impl Future<Output = Outcome>) {
    let _alone = ALONE.lock().await;
    let outcome = fault.await;
    if let Err(fallen) = outcome.judge() {
        panic!("{fallen}");
    }
}

macro_rules! ordeals {
    ($($fault:ident),* $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $fault() {
            survives(faults::$fault()).await;
        }
    )* };
}

tests::every_fault!(ordeals);
