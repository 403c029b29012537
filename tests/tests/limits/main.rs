//! Rate limits and the guard for sign-ins: in memory, on Redis and on a Cluster, with races and outages.

mod documents;
mod guard;
mod guard_races;
mod layer;
mod limiter;
mod naive;
mod outages;
mod races;
mod setup;
mod telemetry;
