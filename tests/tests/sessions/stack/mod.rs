//! The layer's place in a stack: with any service, router or middleware around it and inside it.

mod after_response;
mod cancelled;
mod rejections;
mod routers;
mod services;
