//! Reads of session records.

use cloakroom_core::store::Loaded;
use cloakroom_core::{SessionId, StoreErrorKind};

use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::telemetry::metrics;

/// Reads what is stored under an id, from the store itself. Returns `None` for a record that cannot be
/// decoded.
pub(super) async fn read(
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
