//! The session cookie: its attributes, the cookies of a request, and the headers of a response.

mod attributes;
mod request;
mod response;
mod withheld;
