//! The tower layer.

mod body;
mod builder;
mod by;
mod config;
mod service;

pub use self::body::LimitBody;
pub use self::builder::{RateLimitLayer, RateLimitLayerBuilder};
pub use self::by::By;
pub use self::service::{RateLimitService, ResponseFuture};
