//! Sessions through the whole middleware: what an app can do with one, its cookie, its expiry, and what
//! an attacker cannot do.

#[cfg(test)]
mod app_code;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod errors;
mod expiry;
#[cfg(test)]
mod failed_end;
mod fuzz_targets;
#[cfg(test)]
mod immediate;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod long_request;
mod observability;
#[cfg(test)]
mod request_matrix;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod secrets;
mod security;
#[cfg(test)]
mod stack;
#[cfg(test)]
mod values;
