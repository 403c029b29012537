//! The layer's place in a stack: whatever is around it and inside it.

mod beyond;
mod dropped;
mod refusals;
mod routers;
mod services;
