//! Records in Redis: each operation is one script with one key.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::{StoreError, StoreErrorKind};
use cloakroom_redis::{AppMessages, AppScript, AppScripts, RedisStore, ScriptReply};

use super::record::{Fill, Found, Lease, Mode, Stored};
use crate::config::{GENERATION_TTL, millis};
use crate::hash::KeyHash;

static READ: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("../scripts/read.lua")));
static FILL: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("../scripts/fill.lua")));
static WRITE: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("../scripts/write.lua")));
static FORGET_ALL: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("../scripts/forget_all.lua")));

/// The message that everything was forgotten, which is not the hash of a key.
const ALL: &str = "*";

/// The records of one cache, on the connection of a session store.
#[derive(Debug)]
pub(crate) struct Redis {
    scripts: AppScripts,
    /// `cache:`, and the name.
    topic: String,
}

impl Redis {
    pub(crate) fn new(store: &RedisStore, name: &str) -> Self {
        Self {
            scripts: store.app_scripts(),
            topic: format!("cache:{name}"),
        }
    }

    pub(crate) async fn read(
        &self,
        key: KeyHash,
        lease: &Lease,
        generation: u64,
        mode: Mode,
    ) -> Result<Found, StoreError> {
        let mode = match mode {
            Mode::Normal => "0",
            Mode::IgnoreValue => "1",
            Mode::TakeLease => "2",
        };
        let args = [
            lease.token.clone(),
            millis(lease.ttl).to_string(),
            generation.to_string(),
            mode.to_owned(),
        ];
        let reply = self.scripts.run(&READ, &[self.key(key)], &args).await?;
        found(reply).ok_or_else(unexpected)
    }

    pub(crate) async fn fill(
        &self,
        key: KeyHash,
        token: &str,
        fill: Fill<'_>,
    ) -> Result<bool, StoreError> {
        let (ttl, text) = match fill {
            Fill::Store(stored) => encode(Some(stored)),
            Fill::Remove => ("-1".to_owned(), String::new()),
            Fill::GiveBack => encode(None),
        };
        let args = [token.to_owned(), ttl, text];
        match self.scripts.run(&FILL, &[self.key(key)], &args).await? {
            ScriptReply::Integer(is_stored) => Ok(is_stored == 1),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn write(
        &self,
        key: KeyHash,
        stored: Option<&Stored>,
    ) -> Result<(), StoreError> {
        let (ttl, text) = encode(stored);
        let message = AppScripts::message(&self.topic, &key.to_string());
        let args = [ttl, text, self.scripts.channel().to_owned(), message];
        self.scripts
            .run(&WRITE, &[self.key(key)], &args)
            .await
            .map(drop)
    }

    pub(crate) async fn forget_all(&self) -> Result<u64, StoreError> {
        let args = [
            millis(GENERATION_TTL).to_string(),
            self.scripts.channel().to_owned(),
            AppScripts::message(&self.topic, ALL),
        ];
        let keys = [self.generation_key()];
        match self.scripts.run(&FORGET_ALL, &keys, &args).await? {
            ScriptReply::Integer(generation) => u64::try_from(generation).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn generation(&self) -> Result<u64, StoreError> {
        let Some(bytes) = self.scripts.get(&self.generation_key()).await? else {
            return Ok(0);
        };
        let text = std::str::from_utf8(&bytes).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(unexpected)
    }

    pub(crate) fn subscribe(&self) -> AppMessages {
        self.scripts.subscribe(&self.topic)
    }

    fn key(&self, key: KeyHash) -> String {
        self.scripts.key(&format!("{}:{key}", self.topic))
    }

    fn generation_key(&self) -> String {
        self.scripts.key(&format!("{}:generation", self.topic))
    }
}

/// The TTL and the text of a record; `0` for none.
fn encode(stored: Option<&Stored>) -> (String, String) {
    let Some(Stored {
        json,
        generation,
        fresh_ms,
        stale_ms,
    }) = stored
    else {
        return ("0".to_owned(), String::new());
    };
    let ttl = fresh_ms.saturating_add(*stale_ms).to_string();
    (ttl, format!("v {stale_ms} {generation} - 0\n{json}"))
}

fn found(reply: ScriptReply) -> Option<Found> {
    let ScriptReply::List(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    let mut number = || match parts.next()? {
        ScriptReply::Integer(number) => Some(number),
        _ => None,
    };
    let kind = number()?;
    if kind == 4 {
        return Some(Found::Leased);
    }
    let time = Duration::from_millis(u64::try_from(number()?).unwrap_or(0));
    let mut value = || -> Option<Bytes> {
        match parts.next()? {
            ScriptReply::Bytes(value) => Some(value),
            _ => None,
        }
    };
    match kind {
        1 => Some(Found::Valid(value()?, time)),
        2 => Some(Found::Stale(value()?, time, false)),
        3 => Some(Found::Stale(value()?, time, true)),
        5 => Some(Found::Wait(time)),
        _ => None,
    }
}

fn unexpected() -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable)
}
