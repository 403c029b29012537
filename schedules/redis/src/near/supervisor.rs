//! In place of the supervisor: the connection of a check is a task of the check.

use std::sync::Arc;

use super::shared::SharedCache;

pub(super) struct Supervisor;

impl Supervisor {
    pub(super) fn resume(&self, _: &Arc<SharedCache>) {}
}
