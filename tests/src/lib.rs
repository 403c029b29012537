//! What the end-to-end tests share.

pub mod app;
pub mod browser;
pub mod faults;
pub mod log;
pub mod monitor;
pub mod redis;
pub mod resp;
pub mod samples;
