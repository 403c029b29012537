//! Scripts: named by their digest, and sent by their text where a server does not know them.

use std::fmt::Write as _;

use bytes::Bytes;
use cloakroom_core::StoreError;
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::{CustomCommand, Value};
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use super::{in_what_is_left, is_elsewhere, slot_of};
use crate::connection::Connection;
use crate::error::strange_answer;
use crate::verdict::Effect;

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
    text: &'static str,
    sha1: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(text) {
            write!(sha1, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self { text, sha1 }
    }

    /// What follows `EVALSHA`.
    fn words_by_name(&'static self, key: &str, args: Vec<Value>) -> Vec<Value> {
        Self::words(Bytes::from_static(self.sha1.as_bytes()).into(), key, args)
    }

    /// What follows `EVAL`.
    pub(super) fn words_by_text(&self, key: &str, args: Vec<Value>) -> Vec<Value> {
        Self::words(Value::from_static_str(self.text), key, args)
    }

    fn words(script: Value, key: &str, args: Vec<Value>) -> Vec<Value> {
        let key = Bytes::copy_from_slice(key.as_bytes()).into();
        let mut words = vec![script, 1.into(), key];
        words.extend(args);
        words
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

/// Runs a script by its name, or, on a server that does not know it, by its text. That is also how the
/// other node is asked, if this one does not have the key.
pub(super) async fn run(
    connection: &Connection,
    script: &'static Script,
    key: String,
    args: Vec<Value>,
) -> Result<Value, StoreError> {
    let client = connection.client()?;
    let began = Instant::now();
    let slot = slot_of(&key);
    let command = CustomCommand::new_static("EVALSHA", slot.clone(), false);
    let words = script.words_by_name(&key, args.clone());
    let mut result = client.custom(command, words).await;
    if is_unknown_script(&result) || is_elsewhere(&result) {
        let client = in_what_is_left(&client, connection.limit(), began);
        let command = CustomCommand::new_static("EVAL", slot, false);
        let words = script.words_by_text(&key, args);
        result = client.custom(command, words).await;
    }
    connection.settle(result, Effect::Write)
}

fn is_unknown_script(result: &Result<Value, FredError>) -> bool {
    matches!(result, Err(error) if error.details().starts_with("NOSCRIPT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_its_sha1() {
        assert_eq!(
            Script::new("return 1").sha1,
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        );
    }
}
