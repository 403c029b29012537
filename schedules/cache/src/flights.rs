//! Requests that share a read, whose task may end at any step.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::all_tasks_end;
use tokio::task::yield_now;
use tokio::{Outcomes, check, choose, runtime, spawn};

use crate::flight::{Flights, Joined};
use crate::hash::{KeyHash, KeyHasher};

const AGE: Duration = Duration::from_secs(60);

static FLIGHTS: Outcomes<5> = Outcomes::new([
    "a request joins a read",
    "a request begins a read",
    "there are too many reads",
    "a task ends before its read",
    "a request gets the result",
]);

/// Each request gets the result of a read that was under way when it came or began later, or an error if the task of that
/// read has ended. No read is left, and there are never more than the maximum.
pub fn reads_are_shared(schedules: usize) {
    check(schedules, &FLIGHTS, || {
        let flights = Arc::new(Flights::<u64>::new(1));
        let hasher = KeyHasher::new(b"secret", "test");
        let keys: [KeyHash; 2] = [1_u64, 2].map(|key| hasher.hash(&key));
        runtime::block_on(async {
            for number in 0..4 {
                spawn(request(Arc::clone(&flights), keys[number / 3]));
            }
            let detaching = Arc::clone(&flights);
            spawn(async move {
                yield_now().await;
                detaching.detach(keys[0]);
            });
            all_tasks_end().await;
            let Joined::New(waiting, running) = flights.join(keys[0], AGE) else {
                panic!("a read is left");
            };
            drop(running);
            assert!(waiting.result().await.is_err());
        });
    });
}

async fn request(flights: Arc<Flights<u64>>, key: KeyHash) {
    let waiting = match flights.join(key, AGE) {
        Joined::Existing(waiting) => {
            FLIGHTS.count("a request joins a read");
            waiting
        }
        Joined::New(waiting, running) => {
            FLIGHTS.count("a request begins a read");
            let task = spawn(async move {
                yield_now().await;
                running.finish(Ok(Some(Arc::new(7))));
            });
            if choose(3) == 0 {
                task.abort();
            }
            waiting
        }
        Joined::Full => {
            FLIGHTS.count("there are too many reads");
            return;
        }
    };
    let result = waiting.result().await;
    FLIGHTS.count_if(result.is_err(), "a task ends before its read");
    if let Ok(value) = result {
        assert_eq!(value.as_deref(), Some(&7));
        FLIGHTS.count("a request gets the result");
    }
}
