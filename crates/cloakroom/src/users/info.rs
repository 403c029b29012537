//! What is shown of a session.

use std::time::SystemTime;

use cloakroom_core::migration::Arrival;
use cloakroom_core::{Authentication, Limits, Record, SessionId, UserId};

#[cfg(feature = "devices")]
use crate::device::Device;
use crate::session::Session;

/// A live session, as [`Sessions`](crate::Sessions) finds it. It holds nothing that could open it,
/// and nothing of what the app has put in.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    id: SessionId,
    began: SystemTime,
    user: Option<Authentication>,
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
            began: Arrival::began(id, record.entries()).into(),
            user: Authentication::of(record.entries()),
            seen: record.seen().into(),
            expires: limits.expires_at(record.seen()).into(),
            deadline: limits.deadline().into(),
            #[cfg(feature = "devices")]
            device: Device::of(record.entries()),
        }
    }

    /// Its public id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Whether it is this one: the one of who asks.
    #[must_use]
    pub fn is(&self, session: &Session) -> bool {
        session.id() == Some(self.id)
    }

    /// Who is signed in.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref().map(Authentication::user)
    }

    /// When the user signed in.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<SystemTime> {
        Some(self.user.as_ref()?.at().into())
    }

    /// When it began, moved in, or was last renewed.
    #[must_use]
    pub const fn created_at(&self) -> SystemTime {
        self.began
    }

    /// When it was last used, to a tenth of its idle timeout.
    #[must_use]
    pub const fn last_seen(&self) -> SystemTime {
        self.seen
    }

    /// When it ends if it is not used again.
    #[must_use]
    pub const fn expires_at(&self) -> SystemTime {
        self.expires
    }

    /// When it ends, used or not.
    #[must_use]
    pub const fn deadline(&self) -> SystemTime {
        self.deadline
    }

    /// With what its user signed in, if the layer writes that down
    /// ([`with_device_tracking`](crate::SessionLayerBuilder::with_device_tracking)).
    #[cfg(feature = "devices")]
    #[must_use]
    pub const fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }
}
