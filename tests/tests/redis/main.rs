//! The store on real Redis servers: connecting, outages, replicas, clusters, sentinels, backups, and
//! the commands it sends.

mod app_scripts;
mod backup;
mod certificates;
mod cluster_merging;
mod cluster_mode;
mod cluster_sign_ins;
mod commands;
mod connect;
mod connect_checks;
mod ending_again;
mod health;
mod held_requests;
mod merged_commands;
mod merged_replies;
mod missing_commands;
mod outages;
mod replicas;
mod runtimes;
mod sign_ins;
mod silence;
mod topologies;
