//! Holds requests back, so that what lives with them can be counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

static HELD: AtomicUsize = AtomicUsize::new(0);
static GATE: Semaphore = Semaphore::const_new(0);

/// Waits until the gate is open.
pub(super) async fn wait() {
    HELD.fetch_add(1, Ordering::Relaxed);
    // It is never given a permit: only closing it lets all go.
    drop(GATE.acquire().await);
}

/// How many have come here.
pub(super) fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Opens the gate for good.
pub(super) fn open() {
    GATE.close();
}
