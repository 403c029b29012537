//! For tower-sessions 0.15.

use tower_sessions_core_015 as ts;

#[path = "shared/bridge.rs"]
mod bridge;
#[path = "shared/request.rs"]
mod request;
#[path = "shared/store.rs"]
mod store;

pub use self::bridge::{BridgeLayer, BridgeService, ResponseFuture};
pub use self::store::TowerStore;
