use super::function;
use crate::server::{Call, Done, Server};

const START: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/batch_publish.lua");
const SCRIPT: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/batch.lua");

/// How large replies may be until calls are no longer run.
const LIMIT: usize = 256 * 1024;

/// Scripts that a batch may call, in place of those of the store.
const SCRIPTS: [(&str, &str); 11] = [
    ("one", "return 1"),
    ("keys", "return { KEYS[1], KEYS[2] or '-', ARGV[1] }"),
    ("text", "return string.rep('x', ARGV[1])"),
    (
        "texts",
        "local list = {} for index, size in ipairs(ARGV) do list[index] = string.rep('x', size) end return list",
    ),
    ("nothing", "return nil"),
    ("number", "return 7"),
    ("raises", "error('oops')"),
    ("raises_one", "error(1, 0)"),
    ("error", "return redis.error_reply('ERR refused')"),
    ("publish", "publish(ARGV[1], ARGV[2]) return 1"),
    (
        "create",
        "publish(ARGV[1], ARGV[2]) return { 1, {}, {}, 1, 1 }",
    ),
];

/// In place of the function that makes the store's scripts, which is expensive: each is made once in a batch.
const SCRIPT_OF: &str = "local function script_of(name)
  local script = known[name] or error('made twice, or unknown')
  known[name] = nil
  return script
end
";

type Item<'a> = (&'a str, u32, Vec<String>);

fn item<'a>(name: &'a str, keys: u32, args: &[&str]) -> Item<'a> {
    (name, keys, args.iter().map(|&arg| arg.to_owned()).collect())
}

fn run(server: &Server, replies: &str, keys: &[&str], items: &[Item<'_>]) -> Done {
    let mut text = format!("{START}local known = {{}}\n");
    for (name, body) in SCRIPTS {
        text += &function("script", &format!("{body}\n"));
        text += &format!("known['{name}'] = script\n");
    }
    text +=
        "known['after_publishing'] = function(KEYS, ARGV) publish('closed', 'e') return 7 end\n";
    text += SCRIPT_OF;
    let calls = rmp_serde::to_vec(items).expect("it can be encoded");
    let call = Call {
        script: &(text + SCRIPT),
        replies,
        keys,
        ..Call::default()
    };
    server.run_bytes(call, &[&calls])
}

#[test]
fn the_number_of_calls_is_returned_if_each_returned_one() {
    let server = Server::start();
    let done = run(
        &server,
        "",
        &[],
        &[item("one", 0, &[]), item("one", 0, &[])],
    );
    assert_eq!(done.reply, "2");
    assert!(done.has_written_nothing());
}

#[test]
fn each_call_has_its_keys_arguments_and_reply() {
    let server = Server::start();
    let items = [
        item("keys", 1, &["x"]),
        item("one", 0, &[]),
        item("keys", 2, &["y"]),
        item("nothing", 0, &[]),
        item("number", 0, &[]),
        item("text", 0, &["3"]),
    ];
    let done = run(&server, "", &["a", "b", "c"], &items);
    assert_eq!(
        done.reply,
        "[1, [a, -, x], 1, 1, 1, [b, c, y], 1, nil, 1, 7, 1, xxx]"
    );
}

#[test]
fn an_error_does_not_stop_the_other_calls() {
    let server = Server::start();
    let items = [
        item("raises", 0, &[]),
        item("raises_one", 0, &[]),
        item("error", 0, &[]),
        item("one", 0, &[]),
    ];
    let reply = run(&server, "", &[], &items).reply;
    assert!(reply.starts_with("[0, "), "{reply}");
    let rest = "oops, 0, ERR Error running script: 1, 0, ERR refused, 1, 1]";
    assert!(reply.contains(rest), "{reply}");
}

/// Whether a call that follows these is run.
fn runs_after(server: &Server, items: &[Item<'_>]) -> bool {
    let mut items = items.to_vec();
    items.push(item("one", 0, &[]));
    let reply = run(server, "", &[], &items).reply;
    assert!(
        reply.ends_with(", 1, 1]") || reply.ends_with(", 2, 0]"),
        "{}",
        &reply[reply.len() - 20..]
    );
    reply.ends_with(", 1, 1]")
}

#[test]
fn large_replies_stop_the_batch() {
    let server = Server::start();
    let text = |size: usize| item("text", 0, &[&size.to_string()]);
    assert!(runs_after(&server, &[text(LIMIT)]));
    assert!(!runs_after(&server, &[text(LIMIT + 1)]));
    assert!(!runs_after(
        &server,
        &[text(LIMIT / 2), text(LIMIT / 2 + 1)]
    ));
}

#[test]
fn an_item_of_a_list_counts_sixteen_bytes_more() {
    let server = Server::start();
    let texts = |sizes: &[usize]| {
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        item(
            "texts",
            0,
            &sizes.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    assert!(runs_after(
        &server,
        &[texts(&[LIMIT / 2 - 16, LIMIT / 2 - 16])]
    ));
    assert!(!runs_after(
        &server,
        &[texts(&[LIMIT / 2 - 16, LIMIT / 2 - 15])]
    ));
    assert!(!runs_after(&server, &[texts(&[LIMIT - 16, 0])]));
}

#[test]
fn events_are_published_together() {
    let server = Server::start();
    let items = [
        item("publish", 0, &["events", "a"]),
        item("publish", 0, &["events", "b"]),
        item("publish", 0, &["others", "c"]),
    ];
    let done = run(&server, "", &[], &items);
    assert_eq!(done.reply, "3");
    let mut sent = done.sent("PUBLISH");
    sent.sort_unstable();
    assert_eq!(sent, ["PUBLISH events a\nb", "PUBLISH others c"]);
}

#[test]
fn calls_whose_events_cannot_be_published_say_so() {
    let server = Server::start();
    let items = [
        item("publish", 0, &["closed", "a"]),
        item("create", 0, &["closed", "b"]),
        item("after_publishing", 0, &[]),
        item("publish", 0, &["events", "c"]),
        item("create", 0, &["events", "d"]),
        item("one", 0, &[]),
    ];
    let closed = "['PUBLISH closed'] = { err = 'NOPERM' }";
    let done = run(&server, closed, &[], &items);
    assert_eq!(
        done.reply,
        "[1, 2, 1, [1, [], [], 1, 0], 1, 7, 1, 1, 1, [1, [], [], 1, 1], 1, 1]"
    );
    let done = run(&server, closed, &[], &items[..1]);
    assert_eq!(done.reply, "[1, 2]");
}
