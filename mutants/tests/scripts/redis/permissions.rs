use crate::server::{Call, Server};

const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/permissions.lua");

fn check(server: &Server, setup: &str) -> String {
    let done = server.run(Call {
        script: SCRIPT,
        setup,
        keys: &["prefix:key"],
        args: &["prefix:key", "events", "strlen", "incr"],
        ..Call::default()
    });
    done.reply
}

#[test]
fn a_user_who_may_do_everything_lacks_nothing() {
    assert_eq!(check(&Server::start(), ""), "[[], []]");
}

#[test]
fn forbidden_and_unknown_commands_are_listed() {
    let server = Server::start();
    let setup = "
        acl_check_cmd = function(command, ...)
          if command == 'scan' or command == 'strlen' then
            error('ERR Invalid command passed to redis.acl_check_cmd()')
          end
          return command ~= 'zrank' and command ~= 'incr'
        end
    ";
    assert_eq!(check(&server, setup), "[[zrank, incr], [scan, strlen]]");
}

/// With the arguments that tell whether the user may use this key and this channel.
#[test]
fn the_key_and_the_channel_are_checked() {
    let server = Server::start();
    let setup = "
        acl_check_cmd = function(...)
          local words = table.concat({ ... }, ' ')
          return words ~= 'get prefix:key' and words ~= 'subscribe events' and words ~= 'strlen 1 1'
        end
    ";
    assert_eq!(check(&server, setup), "[[get, subscribe, strlen], []]");
}

#[test]
fn a_server_without_message_pack_lacks_it() {
    let server = Server::start();
    assert_eq!(check(&server, "local cmsgpack = nil"), "[[], [cmsgpack]]");
}

#[test]
fn where_scripts_cannot_check_commands_nothing_is_listed() {
    let server = Server::start();
    assert_eq!(check(&server, "acl_check_cmd = nil"), "[[], []]");
}

#[test]
fn a_subcommand_is_named_with_its_command() {
    let server = Server::start();
    let setup = "acl_check_cmd = function(command) return command ~= 'client' end";
    assert_eq!(check(&server, setup), "[[client|id], []]");
}

/// By the texts of several servers and versions.
#[test]
fn where_scripts_cannot_check_commands_errors_say_what_is_missing() {
    let server = Server::start();
    let setup = "
        acl_check_cmd = nil
        for command, text in pairs({
          get = 'NOPERM not for this user',
          mget = 'ERR Permission denied',
          del = \"ERR The user executing the script can't run this command\",
          zrank = \"ERR The user executing the script can't access at least one of the keys\",
          publish = \"ERR The user executing the script can't publish to the channel\",
          client = 'NOPERM not for this user',
          scan = 'ERR unknown command',
          strlen = 'ERR Unknown Redis command called from script',
          incr = 'ERR value is not an integer',
        }) do
          replies[command] = { err = text }
        end
    ";
    let expected = "[[get, mget, del, zrank, publish, client|id], [scan, strlen]]";
    assert_eq!(check(&server, setup), expected);
}
