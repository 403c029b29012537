//! The examples as their users see them: the demo in a real browser and over HTTP, and the quickstart; and recipes that
//! involve two sites.

mod command_line;
mod csrf;
mod demo_devices;
mod devices;
mod devices_redis;
mod error_pages;
mod keyboard;
mod oauth;
mod quickstart;
mod sign_in;
mod visits;
mod widths;
