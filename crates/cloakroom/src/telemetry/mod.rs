//! What the crate reports: log events and spans ([`log`]), counters and durations ([`metrics`]).

pub(crate) mod log;
pub(crate) mod metrics;
