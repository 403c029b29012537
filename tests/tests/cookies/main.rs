//! The cookie's way through the whole middleware.

mod attributes;
mod headers;
mod presented;
