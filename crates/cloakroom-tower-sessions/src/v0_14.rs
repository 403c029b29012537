//! Adapters for tower-sessions 0.14, which axum-login 0.18 and axum-messages 0.8 use.

#[path = "shared/bridge.rs"]
mod bridge;
#[path = "shared/request.rs"]
mod request;
#[path = "shared/store.rs"]
mod store;

/// The version of tower-sessions that the shared files are compiled for.
mod ts {
    pub(super) use tower_sessions_core_014::*;
}

pub use self::bridge::{BridgeLayer, BridgeService, ResponseFuture};
pub use self::store::TowerSessionsStore;
