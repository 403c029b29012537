//! Reads of a session's record.

use cloakroom_core::store::Loaded;
use cloakroom_core::{SessionId, StoreErrorKind};

use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::telemetry::metrics;

/// What is there, or was there a moment ago, as far as a cache in front of the store may tell; `None` for
/// what cannot be read.
pub(crate) async fn recent(
    context: &Context,
    id: SessionId,
    budget: &Budget,
) -> Result<Option<Loaded>, SessionError> {
    match context.store.remembered(id) {
        Some(loaded) => Ok(Some(loaded)),
        None => read(context, id, budget).await,
    }
}

/// The same, asked of the store itself.
pub(crate) async fn read(
    context: &Context,
    id: SessionId,
    budget: &Budget,
) -> Result<Option<Loaded>, SessionError> {
    match budget.read(context.store.load(id)).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            context.once.unreadable(id, &error);
            Ok(None)
        }
        Err(error) => {
            metrics::load("error");
            Err(error.into())
        }
    }
}
