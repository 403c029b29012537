//! Runs a limited number of commands at once.

use std::future::Future;

use cloakroom_core::index::MAX_EVICTED;
use tokio::task::JoinSet;
use tracing::Instrument;

/// How many commands for one user are sent concurrently at most. A store executes them in a few steps, and serves
/// other requests in between.
pub(crate) const MAX_GROUP: usize = MAX_EVICTED;

/// Runs futures as tasks, and returns their results in no particular order. If it is dropped, the tasks are
/// aborted.
pub(super) async fn run_concurrently<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for future in futures {
        tasks.spawn(future.in_current_span());
    }
    tasks.join_all().await
}
