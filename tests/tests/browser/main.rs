//! The examples as their users see them: the demo in a real browser and over HTTP, and the quickstart.

mod demo;
mod demo_devices;
mod devices;
mod devices_redis;
mod quickstart;
mod visits;
