//! The public data of a session.

use std::time::SystemTime;

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::{Authentication, Impersonation, Limits, Record, SessionId, UserId};

#[cfg(feature = "devices")]
use crate::device::Device;
use crate::session::Session;

/// A live session, as [`Sessions`](crate::Sessions) returns it: without its token and its entries.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    id: SessionId,
    began: SystemTime,
    user: Option<Authentication>,
    impersonation: Option<Impersonation>,
    seen: SystemTime,
    expires: SystemTime,
    deadline: SystemTime,
    #[cfg(feature = "devices")]
    device: Option<Device>,
}

impl SessionInfo {
    pub(super) fn new(id: SessionId, record: &Record, limits: Limits) -> Self {
        Self {
            id,
            began: MigrationMark::created_at(id, record.entries()).into(),
            user: Authentication::of(record.entries()),
            impersonation: Impersonation::of(record.entries()),
            seen: record.last_seen().into(),
            expires: limits.expires_at(record.last_seen()).into(),
            deadline: limits.deadline().into(),
            #[cfg(feature = "devices")]
            device: Device::of(record.entries()),
        }
    }

    /// Returns the public id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Returns whether it is this session: the one of the current request.
    #[must_use]
    pub fn is_current(&self, session: &Session) -> bool {
        session.id() == Some(self.id)
    }

    /// Returns the signed-in user.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref().map(Authentication::user)
    }

    /// Returns when the user signed in.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<SystemTime> {
        Some(self.user.as_ref()?.at().into())
    }

    /// Returns the user as whom the signed-in user [acts](Session::impersonate), and since when.
    #[must_use]
    pub fn impersonating(&self) -> Option<(&UserId, SystemTime)> {
        let impersonation = self.impersonation.as_ref()?;
        Some((impersonation.user(), impersonation.at().into()))
    }

    /// Returns when the session was created, migrated, or last renewed.
    #[must_use]
    pub const fn created_at(&self) -> SystemTime {
        self.began
    }

    /// Returns when the session was last used, accurate to a tenth of its idle timeout.
    #[must_use]
    pub const fn last_seen(&self) -> SystemTime {
        self.seen
    }

    /// Returns when the session expires if it is not used again.
    #[must_use]
    pub const fn expires_at(&self) -> SystemTime {
        self.expires
    }

    /// Returns the absolute deadline: when the session expires even if it is used.
    #[must_use]
    pub const fn deadline(&self) -> SystemTime {
        self.deadline
    }

    /// Returns the device of the session, if the layer records devices
    /// ([`with_device_tracking`](crate::SessionLayerBuilder::with_device_tracking)).
    #[cfg(feature = "devices")]
    #[must_use]
    pub const fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }
}

/// A page of the sessions of a user, as [`Sessions::list_page`](crate::Sessions::list_page) returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionPage {
    /// The live sessions of this page, the most recently created first.
    pub sessions: Vec<SessionInfo>,
    /// The sessions of this page whose records cannot be read: they are damaged, or of a newer format that this release
    /// does not know. [`Sessions::revoke`](crate::Sessions::revoke) ends them. At most 256.
    pub unreadable: Vec<SessionId>,
    /// What to pass to get the next page; `None` if this is the last one.
    pub next: Option<SessionId>,
}
