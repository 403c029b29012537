//! Features combined, and requests of one browser at the same time: what the user sees in the end, judged
//! by a browser with a real cookie jar.

mod app;
mod bridge_app_code;
mod bridged_users;
mod chromium;
mod concurrent_model;
mod cross_site;
mod ended_sessions;
mod former_cookies;
mod handlers;
mod joined;
mod kinds;
mod matrix;
mod near_cache;
mod old_cookies;
mod refused_cookies;
mod renewed_sessions;
mod setup;
mod several_cookies;
mod several_tokens;
mod stale_record;
mod two_at_once;
#[allow(clippy::duplicate_mod, reason = "one app for both versions")]
mod v0_14;
#[allow(clippy::duplicate_mod, reason = "one app for both versions")]
mod v0_15;
