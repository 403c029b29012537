//! The examples as their users see them: the demo in a real browser and over HTTP, and the quickstart.

mod command_line;
mod demo_devices;
mod devices;
mod devices_redis;
mod error_pages;
mod keyboard;
mod quickstart;
mod sign_in;
mod visits;
mod widths;
