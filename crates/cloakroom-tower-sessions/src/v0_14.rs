//! For tower-sessions 0.14, and what stands on it: axum-login 0.18, axum-messages 0.8.

use tower_sessions_core_014 as ts;

#[path = "shared/bridge.rs"]
mod bridge;
#[path = "shared/request.rs"]
mod request;
#[path = "shared/store.rs"]
mod store;

pub use self::bridge::{BridgeLayer, BridgeService, ResponseFuture};
pub use self::store::TowerStore;
