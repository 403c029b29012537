//! The examples as their users see them: the demo in a real browser and over HTTP, and the quickstart; and recipes that involve two sites.

mod csrf;
mod demo;
mod demo_devices;
mod devices;
mod devices_redis;
mod oauth;
mod quickstart;
mod visits;
