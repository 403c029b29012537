//! What every step of a commit needs.

use std::sync::Arc;

use cloakroom_core::Timestamp;

use crate::budget::Budget;
use crate::context::Context;
use crate::device::ClientInfo;
use crate::migration::LegacyCookies;
use crate::store::DynStore;

/// The configuration of the layer, the time that is left for store commands, and what is known of the
/// request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitContext<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) budget: &'a Budget,
    /// The client of the request, if devices are recorded.
    pub(crate) client: Option<&'a ClientInfo>,
    /// The legacy cookies of the request, if sessions are migrated.
    pub(crate) legacy_cookies: Option<&'a LegacyCookies>,
}

impl<'a> CommitContext<'a> {
    /// The context of a commit without a request: a background task, or an administrator's command.
    pub(crate) const fn without_request(context: &'a Arc<Context>, budget: &'a Budget) -> Self {
        Self {
            context,
            budget,
            client: None,
            legacy_cookies: None,
        }
    }

    pub(super) fn store(&self) -> &dyn DynStore {
        &*self.context.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}
