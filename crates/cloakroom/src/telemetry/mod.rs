//! What the crate reports: log events and spans ([`log`], [`limited`]), counters and durations ([`metrics`]).

pub(crate) mod limited;
pub(crate) mod log;
pub(crate) mod metrics;
