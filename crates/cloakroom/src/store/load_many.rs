//! Loads several sessions with few commands.

use cloakroom_core::store::{Loaded, MAX_LOADED};
use cloakroom_core::{SessionId, StoreError, StoreErrorKind};

use super::DynStore;
use crate::budget::Budget;

/// Loads sessions in groups of [`MAX_LOADED`], one group after the other. Each result has its id. A group for which
/// there is no time fails with [`Unavailable`](StoreErrorKind::Unavailable).
pub(crate) async fn load_many(
    store: &dyn DynStore,
    budget: &Budget,
    ids: &[SessionId],
) -> Vec<(SessionId, Result<Loaded, StoreError>)> {
    let mut all = Vec::with_capacity(ids.len());
    for group in ids.chunks(MAX_LOADED) {
        match budget.read(store.load_many(group)).await {
            Ok(loaded) if loaded.len() == group.len() => {
                all.extend(group.iter().copied().zip(loaded));
            }
            Ok(_) => {
                let text = "the store has returned another number of sessions than requested";
                let error = StoreError::with_source(StoreErrorKind::Unavailable, text);
                all.extend(group.iter().map(|id| (*id, Err(error.clone()))));
            }
            Err(error) => all.extend(group.iter().map(|id| (*id, Err(error.clone())))),
        }
    }
    all
}
