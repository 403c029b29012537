//! The tower middleware: [`SessionLayer`] and what it makes.
//!
//! `service` puts a lazy session into each request; `future` sees the handler done, and commits
//! what is to be committed before the answer leaves; `response` writes its headers;
//! `error_response` is the response when that fails.

mod error_response;
mod future;
mod layer;
mod response;
mod service;

#[cfg(feature = "axum")]
pub(crate) use self::error_response::what_helps;
pub use self::error_response::{DefaultErrorResponse, ErrorResponse};
pub use self::future::ResponseFuture;
pub use self::layer::SessionLayer;
pub use self::response::EndedMeanwhile;
pub use self::service::SessionService;
