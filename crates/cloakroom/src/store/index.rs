//! The store's index of users, and its bus, behind the same pointer.

use std::time::Duration;

use cloakroom_core::event::{EventBus, SessionEvent, Subscription};
use cloakroom_core::index::{Admission, Applicant, UserIndex};
use cloakroom_core::store::Entered;
use cloakroom_core::{Record, SessionId, Store, StoreError, StoreErrorKind, Timestamp, UserKey};

use super::instrumented::Told;
use super::{Answer, Outcome};

/// [`UserIndex`] and [`EventBus`] of a store, with their futures boxed. What the store does not have
/// is refused as unsupported.
pub(crate) trait AnyUsers {
    fn has_index(&self) -> bool;

    fn has_bus(&self) -> bool;

    fn enter<'a>(
        &'a self,
        user: UserKey,
        applicant: &'a Applicant,
        record: &'a Record,
        ttl: Duration,
        event: Option<&'a SessionEvent>,
    ) -> Answer<'a, Entered>;

    fn admit<'a>(&'a self, user: UserKey, applicant: &'a Applicant) -> Answer<'a, Admission>;

    fn entered(&self, user: UserKey) -> Answer<'_, Vec<SessionId>>;

    fn forget<'a>(&'a self, user: UserKey, ids: &'a [SessionId]) -> Answer<'a, ()>;

    fn everything(&self) -> Answer<'_, Vec<SessionId>>;

    fn epoch(&self) -> Answer<'_, Timestamp>;

    fn begin_epoch(&self, at: Timestamp, keep: Duration) -> Answer<'_, ()>;

    fn publish<'a>(&'a self, event: &'a SessionEvent) -> Answer<'a, ()>;

    fn subscribe(&self) -> Option<Subscription>;
}

impl<S: Store> AnyUsers for S {
    fn has_index(&self) -> bool {
        self.index().is_some()
    }

    fn has_bus(&self) -> bool {
        self.bus().is_some()
    }

    fn enter<'a>(
        &'a self,
        user: UserKey,
        applicant: &'a Applicant,
        record: &'a Record,
        ttl: Duration,
        event: Option<&'a SessionEvent>,
    ) -> Answer<'a, Entered> {
        let enter = async move { Store::enter(self, &user, applicant, record, ttl, event).await };
        Box::pin(Told::new("enter", applicant.id, enter))
    }

    fn admit<'a>(&'a self, user: UserKey, applicant: &'a Applicant) -> Answer<'a, Admission> {
        let admit = async move { index(self)?.admit(&user, applicant).await };
        Box::pin(Told::new("admit", applicant.id, admit))
    }

    fn entered(&self, user: UserKey) -> Answer<'_, Vec<SessionId>> {
        Box::pin(async move { index(self)?.entered(&user).await })
    }

    fn forget<'a>(&'a self, user: UserKey, ids: &'a [SessionId]) -> Answer<'a, ()> {
        Box::pin(async move { index(self)?.forget(&user, ids).await })
    }

    fn everything(&self) -> Answer<'_, Vec<SessionId>> {
        Box::pin(async move { index(self)?.everything().await })
    }

    fn epoch(&self) -> Answer<'_, Timestamp> {
        Box::pin(async move { index(self)?.epoch().await })
    }

    fn begin_epoch(&self, at: Timestamp, keep: Duration) -> Answer<'_, ()> {
        Box::pin(async move { index(self)?.begin_epoch(at, keep).await })
    }

    fn publish<'a>(&'a self, event: &'a SessionEvent) -> Answer<'a, ()> {
        Box::pin(async move {
            let bus = self.bus().ok_or(UNSUPPORTED)?;
            bus.publish(event).await
        })
    }

    fn subscribe(&self) -> Option<Subscription> {
        Some(self.bus()?.subscribe())
    }
}

const UNSUPPORTED: StoreError = StoreError::new(StoreErrorKind::Unsupported);

fn index(store: &impl Store) -> Result<impl UserIndex, StoreError> {
    store.index().ok_or(UNSUPPORTED)
}

impl Outcome for Entered {
    fn word(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Collision => "collision",
            Self::Over { .. } => "over",
            Self::Full(_) => "full",
        }
    }
}

impl Outcome for Admission {
    fn word(&self) -> &'static str {
        match self {
            Self::Admitted { .. } => "admitted",
            Self::Full(_) => "full",
        }
    }
}
