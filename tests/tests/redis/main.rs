//! The store on real Redis servers: connecting, outages, replicas, clusters, sentinels, backups, and
//! the commands it sends.

mod backup;
mod commands;
mod connect;
mod ending_again;
mod health;
mod held_requests;
mod merged_commands;
mod outages;
mod replicas;
mod topologies;
