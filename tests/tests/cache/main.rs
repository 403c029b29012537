//! The cache of user records: in memory, on Redis and on a Cluster, with races and outages.

mod app;
mod cached_backend;
mod commands;
mod documents;
mod interruptions;
mod naive;
mod options;
mod outages;
mod races;
mod reads;
mod setup;
