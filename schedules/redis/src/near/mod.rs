//! The near cache, in front of a server in memory whose messages are delayed.

#[path = "../../../../crates/cloakroom-redis/src/near/cache.rs"]
mod cache;
pub mod requests;
#[path = "../../../../crates/cloakroom-redis/src/near/shared.rs"]
mod shared;
#[path = "../../../../crates/cloakroom-redis/src/near/stats.rs"]
mod stats;
#[path = "../../../../crates/cloakroom-redis/src/near/store.rs"]
mod store;
mod supervisor;
#[path = "../../../../crates/cloakroom-redis/src/near/validity.rs"]
mod validity;

use self::stats::NearCacheStats;
use self::store::NearCache;
