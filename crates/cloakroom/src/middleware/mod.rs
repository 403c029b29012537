//! The tower middleware: [`SessionLayer`] and its service.
//!
//! `service` adds a lazy session to each request; `future` commits the session when the handler has
//! finished; `response` adds the headers; `error_response` is the response if the session cannot be loaded
//! or saved.

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
