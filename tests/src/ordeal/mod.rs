//! A fault under load: visitors who know what was acknowledged use an app on two servers, a fault comes
//! and goes, and afterwards what is stored is held against what they know.

pub mod faults;
mod outcome;
mod shop;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use self::outcome::Book;
pub use self::outcome::{Loss, Outcome};
use self::visitor::Visitor;

/// How many visitors there are.
const VISITORS: u64 = 16;

/// So many successes make a start, and a recovery.
const ENOUGH: u64 = 200;

/// How long it must be calm before an outage is over.
const CALM: Duration = Duration::from_millis(400);

/// How long a recovery may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A load that goes on in the background.
#[derive(Debug)]
pub struct Ordeal {
    book: Arc<Book>,
    stop: Arc<AtomicBool>,
    visitors: JoinSet<Visitor>,
}

impl Ordeal {
    /// Opens two servers on the Redis at `url`, and lets visitors in.
    ///
    /// # Panics
    ///
    /// When that Redis does not work.
    pub async fn begin(url: &str) -> Self {
        let servers = [shop::open(url).await, shop::open(url).await];
        let book = Arc::<Book>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut visitors = JoinSet::new();
        for number in 0..VISITORS {
            let mut visitor = Visitor::new(number, servers.clone(), Arc::clone(&book));
            let stop = Arc::clone(&stop);
            visitors.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    visitor.step().await;
                }
                visitor
            });
        }
        let ordeal = Self {
            book,
            stop,
            visitors,
        };
        ordeal.waits_for_success(Instant::now()).await;
        ordeal
    }

    /// Says that the fault is there from now on. What happened before was no fault's doing.
    pub fn strikes(&self) {
        self.book.begins();
    }

    /// Says that the fault is over: waits until requests succeed again, stops the load, and judges.
    ///
    /// # Panics
    ///
    /// When it does not recover.
    pub async fn passes(mut self, name: &'static str, loss: Loss) -> Outcome {
        let over = Instant::now();
        self.waits_for_success(over).await;
        let recovery = self.book.last_failure().saturating_duration_since(over);
        self.stop.store(true, Ordering::Relaxed);
        while let Some(visitor) = self.visitors.join_next().await {
            visitor.expect("no visitor panics").leaves().await;
        }
        self.book.close(name, loss, recovery)
    }

    async fn waits_for_success(&self, since: Instant) {
        let before = self.book.successes();
        loop {
            let calm = self.book.last_failure().max(since).elapsed() >= CALM;
            if calm && self.book.successes() >= before + ENOUGH {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "requests do not succeed again");
            sleep(Duration::from_millis(10)).await;
        }
    }
}
