//! Runs a limited number of commands at once.

use std::future::Future;

use cloakroom_core::index::MAX_EVICTED;
use futures_util::stream::{self, StreamExt};

/// How many sessions end, or events are published, before something else is looked at.
pub(crate) const MAX_GROUP: usize = MAX_EVICTED;

/// How many commands of a group are sent concurrently: so few that other requests are not held up, also where each
/// write waits for replicas before the next one is sent.
const MAX_CONCURRENT: usize = 8;

/// Runs futures, [`MAX_CONCURRENT`] at a time, and returns their results in no particular order. No task is started:
/// where the app keeps all threads busy, tasks would wait for each other.
pub(super) async fn run_concurrently<F: Future>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let running = stream::iter(futures).buffer_unordered(MAX_CONCURRENT);
    running.collect().await
}
