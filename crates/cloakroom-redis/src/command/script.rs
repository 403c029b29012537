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

/// Starts with `index_add.lua` as a function, and stores the session on a second key.
pub(super) static CREATE_FOR_USER: LazyLock<Script> = LazyLock::new(|| {
    let index_add = include_str!("../scripts/index_add.lua");
    let text = format!("local function index_add(KEYS, ARGV)\n{index_add}end\n");
    let text = text + include_str!("../scripts/create_for_user.lua");
    Script::new("create_for_user", text)
});

/// Runs several calls of the scripts above.
pub(super) static BATCH: LazyLock<Script> = LazyLock::new(|| {
    let mut text = "local scripts = {}\n".to_owned();
    for script in [
        &UPDATE,
        &TOUCH,
        &END,
        &INDEX_ADD,
        &INDEX_LIST,
        &SET_REVOKED_BEFORE,
        &CREATE_FOR_USER,
    ] {
        define(
            &mut text,
            script.name,
            &String::from_utf8_lossy(&script.text),
        );
    }
    Script::new("batch", text + include_str!("../scripts/batch.lua"))
});

/// Adds a script to the table of `batch.lua`.
fn define(text: &mut String, name: &str, body: &str) {
    writeln!(
        text,
        "scripts['{name}'] = function(KEYS, ARGV)\n{body}\nend"
    )
    .expect("writing to a String does not fail");
}

/// A script of another crate, and the script that runs several calls of it.
#[derive(Debug)]
pub(crate) struct AppScriptPair {
    pub(super) single: Script,
    pub(super) batch: Script,
}

impl AppScriptPair {
    pub(crate) fn new(text: &'static str) -> Self {
        let single = Script::new("app", text);
        let mut batch = "local scripts = {}\n".to_owned();
        define(&mut batch, single.name, text);
        let batch = Script::new("batch", batch + include_str!("../scripts/batch.lua"));
        Self { single, batch }
    }
}

/// A script, and the digest by which a server that has run it once knows it.
#[derive(Debug)]
pub(super) struct Script {
    name: &'static str,
    text: Bytes,
    sha1: Bytes,
}

impl Script {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(&text) {
            write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self {
            name,
            text: text.into(),
            sha1: sha1.into(),
        }
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
