//! With tower-sessions 0.15, for which they have no Redis store.

use cloakroom_tower_sessions::v0_15 as bridge;
use tower_sessions_015 as tower_sessions;

#[path = "tower_app.rs"]
pub(crate) mod app;
