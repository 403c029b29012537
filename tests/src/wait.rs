//! Waits for a condition.

use std::time::{Duration, Instant};

use tokio::time::sleep;

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
