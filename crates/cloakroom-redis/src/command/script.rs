//! Scripts: named by their digest, and sent by their text where a server does not know them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::types::Value;
use sha1::{Digest as _, Sha1};

use super::call::Call;
use super::words::Words;
use crate::coalesce::jointly;
use crate::connection::Connection;
use crate::error::strange_answer;
use crate::verdict::Effect;

pub(super) static UPDATE: LazyLock<Script> =
    LazyLock::new(|| Script::new("update", include_str!("../scripts/update.lua")));
pub(super) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::new("touch", include_str!("../scripts/touch.lua")));
pub(super) static END: LazyLock<Script> =
    LazyLock::new(|| Script::new("end", include_str!("../scripts/end.lua")));
pub(super) static ADMIT: LazyLock<Script> =
    LazyLock::new(|| Script::new("admit", include_str!("../scripts/admit.lua")));
pub(super) static EPOCH: LazyLock<Script> =
    LazyLock::new(|| Script::new("epoch", include_str!("../scripts/epoch.lua")));

/// `admit` with a second step, on a second key.
pub(super) static ENTER: LazyLock<Script> = LazyLock::new(|| {
    let admit = include_str!("../scripts/admit.lua");
    let text = format!("local function admit(KEYS, ARGV)\n{admit}end\n");
    Script::new("enter", text + include_str!("../scripts/enter.lua"))
});

/// Those above, several in one call.
pub(super) static BATCH: LazyLock<Script> = LazyLock::new(|| {
    let mut text = "local scripts = {}\n".to_owned();
    for script in [&UPDATE, &TOUCH, &END, &ADMIT, &EPOCH, &ENTER] {
        let Script {
            name, text: body, ..
        } = &**script;
        write!(
            text,
            "scripts['{name}'] = function(KEYS, ARGV)\n{body}end\n"
        )
        .expect("writing to a String does not fail");
    }
    Script::new("batch", text + include_str!("../scripts/batch.lua"))
});

/// What a script answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It did what it was asked.
    Done,
    /// It did not find what it wants.
    Nothing,
    /// What it found instead.
    There(Bytes),
}

/// A script, and the name under which a server that ran it knows it.
pub(super) struct Script {
    name: &'static str,
    text: String,
    sha1: String,
}

impl Script {
    /// By what a batch knows it.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// What follows `EVALSHA`, for a script on so many keys.
    pub(super) fn by_name(&'static self, keys: usize, words: Vec<Value>) -> Vec<Value> {
        Self::with(&self.sha1, keys, words)
    }

    /// What follows `EVAL`.
    pub(super) fn by_text(&'static self, keys: usize, words: Vec<Value>) -> Vec<Value> {
        Self::with(&self.text, keys, words)
    }

    fn with(script: &'static str, keys: usize, words: Vec<Value>) -> Vec<Value> {
        let script = [
            Value::from_static_str(script),
            Value::from(keys.to_string()),
        ];
        script.into_iter().chain(words).collect()
    }

    fn new(name: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(&text) {
            write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self { name, text, sha1 }
    }
}

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Integer(1) => Ok(Self::Done),
            Value::Integer(0) => Ok(Self::Nothing),
            Value::String(text) => Ok(Self::There(text.into_inner())),
            Value::Bytes(bytes) => Ok(Self::There(bytes)),
            _ => Err(strange_answer(Effect::Write)),
        }
    }
}

/// Runs a script: with those of other requests that come at the same moment in one call, which fred
/// writes to the socket by itself, and the server reads by itself. One on several keys is nothing for a
/// cluster.
pub(super) async fn run(
    connection: &Connection,
    script: &'static Script,
    words: Words,
) -> Result<Value, StoreError> {
    let client = connection.client()?;
    let coalescer = connection.coalescer();
    let under_way = coalescer.one_more();
    let call = Call {
        client,
        limit: connection.limit(),
        script,
        words,
    };
    let result = match under_way.is_alone || !call.is_fit_for_company() {
        true => call.carry_out_alone().await,
        false => jointly(&coalescer.calls, call).await,
    };
    connection.settle(result, Effect::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_its_sha1() {
        assert_eq!(
            Script::new("one", "return 1").sha1,
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        );
    }
}
