//! Waits for a condition.

use std::time::{Duration, Instant};

use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the condition holds, and no longer than `limit`.
///
/// # Panics
///
/// When it does not hold in time.
pub async fn within(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the condition holds, for as long as a busy machine may need. Connections go on meanwhile.
///
/// # Panics
///
/// When it does not hold within a minute.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    within(what, PATIENCE, async || condition()).await;
}
