//! The suite with tower-sessions 0.15, which has no Redis store of its own yet.

use cloakroom_tower_sessions::v0_15 as cloakroom_tower_sessions;
use tower_sessions_015 as tower_sessions;

#[path = "behaviour.rs"]
mod behaviour;
#[path = "handlers.rs"]
mod handlers;
#[path = "ours.rs"]
mod ours;
