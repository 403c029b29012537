//! A near cache: an in-process cache in front of the store that Redis keeps coherent.
//!
//! `cache` holds the sessions, `validity` knows until when they may be used, and `shared` combines these.
//! `invalidation` receives the changes of one server, `supervisor` keeps such a connection to every
//! primary. `store` is the [`Store`](cloakroom_core::Store) that the app uses.

mod builder;
mod cache;
mod invalidation;
mod shared;
mod stats;
mod store;
mod supervisor;
mod validity;

pub use self::builder::{NearCacheBuilder, NearCacheError};
pub use self::stats::NearCacheStats;
pub use self::store::NearCache;
