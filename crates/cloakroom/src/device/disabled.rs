//! Without the feature `devices`, no devices are recorded.

use std::sync::Arc;

use cloakroom_core::{Entries, SessionClient};
use http::{Extensions, HeaderMap};

use crate::error::ConfigError;

#[derive(Clone, Debug)]
pub(crate) enum DeviceTracking {}

#[derive(Clone, Debug)]
pub(crate) enum ClientInfo {}

impl DeviceTracking {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match *self {}
    }

    pub(crate) fn client_info(tracking: &Arc<Self>, _: &HeaderMap, _: &Extensions) -> ClientInfo {
        match **tracking {}
    }
}

/// Returns the client of a session: none is recorded.
pub(crate) const fn client_of(_: &Entries) -> Option<SessionClient> {
    None
}

impl ClientInfo {
    pub(crate) fn put_into(&self, _: &mut Entries) {
        match *self {}
    }

    pub(crate) fn differs_from(&self, _: &Entries) -> bool {
        match *self {}
    }

    pub(crate) fn refresh(&self, _: &mut Entries) {
        match *self {}
    }
}
