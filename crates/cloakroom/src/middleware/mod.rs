//! The tower middleware: [`SessionLayer`] and what it makes.
//!
//! `service` puts a lazy session into each request; `future` sees the handler done, and commits
//! what is to be committed before the answer leaves; `answer` writes its headers; `rejection` shapes
//! the answer when that fails.

mod answer;
mod future;
mod layer;
mod rejection;
mod service;

pub use self::answer::EndedMeanwhile;
pub use self::future::ResponseFuture;
pub use self::layer::SessionLayer;
#[cfg(feature = "axum")]
pub(crate) use self::rejection::what_helps;
pub use self::rejection::{DefaultErrorResponse, ErrorResponse};
pub use self::service::SessionService;
