//! The index and bus of a store that has none.

use std::time::Duration;

use crate::bus::{EventBus, Subscription};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::event::SessionEvent;
use crate::id::SessionId;
use crate::index::{Admission, Applicant, UserIndex};
use crate::user::UserKey;

/// The type of an index or a bus that a store does not have. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum Nowhere {}

impl UserIndex for Nowhere {
    async fn admit(&self, _: &UserKey, _: &Applicant) -> Result<Admission, StoreError> {
        match *self {}
    }

    async fn entered(&self, _: &UserKey) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn forget(&self, _: &UserKey, _: &[SessionId]) -> Result<(), StoreError> {
        match *self {}
    }

    async fn everything(&self) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn epoch(&self) -> Result<Timestamp, StoreError> {
        match *self {}
    }

    async fn begin_epoch(&self, _: Timestamp, _: Duration) -> Result<(), StoreError> {
        match *self {}
    }
}

impl EventBus for Nowhere {
    async fn publish(&self, _: &SessionEvent) -> Result<(), StoreError> {
        match *self {}
    }

    fn subscribe(&self) -> Subscription {
        match *self {}
    }
}
