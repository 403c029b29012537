//! The Lua scripts, and what they reply.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::types::Value;
use sha1::{Digest as _, Sha1};

use crate::classify::Effect;
use crate::error::unexpected_reply;

pub(super) static UPDATE: LazyLock<Script> =
    LazyLock::new(|| Script::new("update", include_str!("../scripts/update.lua")));
pub(super) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::new("touch", include_str!("../scripts/touch.lua")));
pub(super) static END: LazyLock<Script> =
    LazyLock::new(|| Script::new("end", include_str!("../scripts/end.lua")));
pub(super) static INDEX_ADD: LazyLock<Script> =
    LazyLock::new(|| Script::new("index_add", include_str!("../scripts/index_add.lua")));
pub(super) static INDEX_LIST: LazyLock<Script> =
    LazyLock::new(|| Script::new("index_list", include_str!("../scripts/index_list.lua")));
pub(super) static SET_REVOKED_BEFORE: LazyLock<Script> = LazyLock::new(|| {
    let text = include_str!("../scripts/set_revoked_before.lua");
    Script::new("set_revoked_before", text)
});

pub(super) static INDEX_PUT: LazyLock<Script> =
    LazyLock::new(|| Script::new("index_put", include_str!("../scripts/index_put.lua")));
pub(super) static CREATE: LazyLock<Script> =
    LazyLock::new(|| Script::publishing("create", include_str!("../scripts/create.lua")));

/// Starts with `index_add.lua` as a function, and stores the session on a second key.
pub(super) static CREATE_FOR_USER: LazyLock<Script> = LazyLock::new(|| {
    let index_add = function("index_add", include_str!("../scripts/index_add.lua"));
    let text = include_str!("../scripts/create_for_user.lua");
    Script::publishing("create_for_user", [&index_add, text].concat())
});

/// Starts with `index_put.lua` and `create.lua` as functions.
pub(super) static SIGN_IN: LazyLock<Script> = LazyLock::new(|| {
    let index_put = function("index_put", include_str!("../scripts/index_put.lua"));
    let create = function("create", include_str!("../scripts/create.lua"));
    let text = include_str!("../scripts/sign_in.lua");
    Script::publishing("sign_in", [&index_put, &create, text].concat())
});

/// Runs several calls of the scripts above.
pub(super) static BATCH: LazyLock<Script> = LazyLock::new(|| {
    let text = functions() + include_str!("../scripts/batch.lua");
    Script::new("batch", text)
});

/// The start of the script for one node of a cluster, with undeclared keys in several slots: servers before Redis 7.0
/// refuse to compile it.
const NODE_CHECK: &str = include_str!("../scripts/node_check.lua");

/// Runs several calls of the scripts above on one node of a cluster.
pub(super) static NODE_BATCH: LazyLock<Script> = LazyLock::new(|| {
    let flags = "#!lua flags=allow-cross-slot-keys\n";
    let batch = function("batch", include_str!("../scripts/batch.lua"));
    let text = include_str!("../scripts/node_batch.lua");
    let parts = [flags, NODE_CHECK, &functions(), &batch, text];
    Script::new("node_batch", parts.concat())
});

/// The scripts that can be merged, and how they publish.
fn functions() -> String {
    let scripts = [
        &UPDATE,
        &TOUCH,
        &END,
        &INDEX_ADD,
        &INDEX_LIST,
        &INDEX_PUT,
        &SET_REVOKED_BEFORE,
        &CREATE,
        &CREATE_FOR_USER,
        &SIGN_IN,
    ];
    definitions(scripts.map(|script| (script.name, script.body())))
}

/// The start of every script that contains `batch.lua`: a function that returns each of these scripts as a function. A
/// merged call needs few of them, and to make all of them takes Lua longer than to run one.
fn definitions<'a>(scripts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = include_str!("../scripts/batch_publish.lua").to_owned();
    text.push_str("local function script_of(name)\n");
    for (name, body) in scripts {
        let function = format!("return function(KEYS, ARGV)\n{body}\nend");
        writeln!(text, "if name == '{name}' then\n{function}\nend")
            .expect("writing to a String does not fail");
    }
    text.push_str("end\n");
    text
}

/// A script as a local function of its own `KEYS` and `ARGV`.
fn function(name: &str, body: &str) -> String {
    format!("local function {name}(KEYS, ARGV)\n{body}end\n")
}

/// A script of another crate, and the script that runs several calls of it.
#[derive(Debug)]
pub(crate) struct AppScriptPair {
    pub(super) single: Script,
    pub(super) batch: Script,
    /// Whether the text starts with a line of flags, so that it cannot be the body of a function.
    pub(super) has_flags: bool,
}

impl AppScriptPair {
    pub(crate) fn new(text: &'static str) -> Self {
        let single = Script::new("app", text);
        let definitions = definitions([(single.name, text)]);
        let batch = Script::new("batch", definitions + include_str!("../scripts/batch.lua"));
        Self {
            single,
            batch,
            has_flags: text.starts_with("#!"),
        }
    }
}

/// Returns the SHA-1 as Lua's `redis.sha1hex` does.
pub(super) fn sha1_hex(bytes: &[u8]) -> String {
    let mut sha1 = String::with_capacity(40);
    for byte in Sha1::digest(bytes) {
        write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
    }
    sha1
}

/// A script, and the digest by which a server that has run it once knows it.
#[derive(Debug)]
pub(super) struct Script {
    name: &'static str,
    text: Bytes,
    /// Where the text starts that `batch.lua` contains.
    body: usize,
    sha1: Bytes,
}

impl Script {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name,
            body: 0,
            sha1: sha1_hex(text.as_bytes()).into(),
            text: text.into(),
        }
    }

    /// A script that publishes an event with the function `publish`, of which `batch.lua` has one of its own.
    fn publishing(name: &'static str, body: impl AsRef<str>) -> Self {
        const PUBLISH: &str = include_str!("../scripts/publish.lua");
        Self {
            body: PUBLISH.len(),
            ..Self::new(name, [PUBLISH, body.as_ref()].concat())
        }
    }

    fn body(&self) -> &str {
        str::from_utf8(&self.text[self.body..]).expect("it is made of text")
    }

    /// The name under which `batch.lua` registers the script.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The arguments of `EVALSHA`, for a script with this number of keys.
    pub(super) fn evalsha_args(&self, keys: usize, args: Vec<Value>) -> Vec<Value> {
        prepend(&self.sha1, keys, args)
    }

    /// The arguments of `EVAL`.
    pub(super) fn eval_args(&self, keys: usize, args: Vec<Value>) -> Vec<Value> {
        prepend(&self.text, keys, args)
    }
}

fn prepend(script: &Bytes, keys: usize, args: Vec<Value>) -> Vec<Value> {
    let script = [Value::Bytes(script.clone()), Value::from(keys.to_string())];
    script.into_iter().chain(args).collect()
}

/// The reply of a script on a session's key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The script did what it is for.
    Done,
    /// The session was not found, or for `touch` not as expected.
    Nothing,
    /// The value that was found instead.
    Other(Bytes),
}

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Integer(1) => Ok(Self::Done),
            Value::Integer(0) => Ok(Self::Nothing),
            Value::String(text) => Ok(Self::Other(text.into_inner())),
            Value::Bytes(bytes) => Ok(Self::Other(bytes)),
            _ => Err(unexpected_reply(Effect::Write)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_identified_by_its_sha1() {
        assert_eq!(
            Script::new("one", "return 1").sha1,
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db".as_bytes()
        );
    }
}
