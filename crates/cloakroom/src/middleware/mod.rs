//! The tower middleware: [`SessionLayer`] and its service.
//!
//! `builder` configures the layer; `validate` checks the configuration; `service` adds a lazy session to
//! each request; `future` commits the session when the handler has finished; `response` adds the headers;
//! `error_response` is the response if the session cannot be loaded or saved; `body` is the body of either
//! response.

mod body;
mod builder;
mod builder_responses;
mod error_response;
mod future;
mod layer;
mod response;
mod service;
mod validate;

pub use self::body::{EmptyBody, ResponseBody};
pub use self::builder::SessionLayerBuilder;
pub use self::error_response::{
    DefaultErrorResponse, ErrorResponse, ErrorResponseForRequest, RequestHead,
};
pub use self::future::ResponseFuture;
pub use self::layer::SessionLayer;
pub use self::response::EndedConcurrently;
pub use self::service::SessionService;
