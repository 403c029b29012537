//! The tower middleware: [`SessionLayer`], and what it makes of a service.
//!
//! `builder` configures the layer, and checks the configuration;
//! `service` puts a lazy session into each request; `future` sees the handler done, and commits
//! what is to be committed before the answer leaves; `response` writes its headers;
//! `error_response` is the response when that fails, and `body` the body of either.

mod body;
mod builder;
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
pub use self::response::EndedMeanwhile;
pub use self::service::SessionService;
