//! The scripts of `cloakroom-redis`.

mod batch;
mod batch_publish;
mod create;
mod create_for_user;
mod end;
mod index_add;
mod index_list;
mod index_put;
mod node_batch;
mod node_check;
mod permissions;
mod publish;
mod set_revoked_before;
mod sign_in;
mod touch;
mod update;

/// A script as a local function, as `command/script.rs` of the store embeds it.
fn function(name: &str, body: &str) -> String {
    format!("local function {name}(KEYS, ARGV)\n{body}end\n")
}

/// In place of `node_check.lua`, in front of a script that uses it.
const REJECTS: &str = "local function rejects(key) return key == 'rejected' end\n";

/// The function that publishes events, in front of a script that uses it.
fn publishing(script: &str) -> String {
    let publish = include_str!("../../../../crates/cloakroom-redis/src/scripts/publish.lua");
    [publish, script].concat()
}
