//! The store on real Redis servers: connecting, outages, replicas, clusters, sentinels, backups, and
//! the commands it sends.

mod app_scripts;
mod backup;
mod certificates;
mod cluster_errors;
mod cluster_merging;
mod cluster_mode;
mod cluster_placement;
mod cluster_sign_ins;
mod commands;
mod connect;
mod connect_checks;
mod ending_again;
mod health;
mod held_requests;
mod lost_replies;
mod merged_commands;
mod merged_errors;
mod merged_replies;
mod missing_commands;
mod outages;
mod raw_keys;
mod replicas;
mod runtimes;
mod sign_ins;
mod silence;
mod topologies;

/// The commands with a key without which no session can be kept.
const ON_KEYS: [&str; 19] = [
    "get",
    "mget",
    "set",
    "evalsha",
    "eval",
    "getrange",
    "setrange",
    "pexpire",
    "del",
    "zadd",
    "zrem",
    "zscore",
    "zrange",
    "zrangebyscore",
    "zrandmember",
    "zcard",
    "zcount",
    "zrank",
    "pttl",
];
