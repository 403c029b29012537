//! The scripts of the store, each by itself.

use cloakroom_core::index::{AddRequest, STALE_AFTER};
use redis_rs::{Cmd, FromRedisValue, RedisResult, Value, cmd};

use super::connection::Connection;

const PUBLISH: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/publish.lua");
const CREATE: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/create.lua");
const INDEX_PUT: &str =
    include_str!("../../../../crates/cloakroom-redis/src/scripts/index_put.lua");
const SIGN_IN: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/sign_in.lua");
const UPDATE: &str = include_str!("../../../../crates/cloakroom-redis/src/scripts/update.lua");

/// The digests of scripts that every server has loaded.
pub(super) struct Scripts {
    pub(super) update: String,
    pub(super) index_put: String,
    pub(super) create: String,
    pub(super) sign_in: String,
}

impl Scripts {
    pub(super) async fn load(redis: &Connection) -> RedisResult<Self> {
        let function = |name: &str, body| format!("local function {name}(KEYS, ARGV)\n{body}end\n");
        let functions = function("index_put", INDEX_PUT) + &function("create", CREATE);
        let load = async |text: &str| {
            let mut load = cmd("SCRIPT");
            redis.send(load.arg("LOAD").arg(text)).await
        };
        Ok(Self {
            update: load(UPDATE).await?,
            index_put: load(INDEX_PUT).await?,
            create: load(&[PUBLISH, CREATE].concat()).await?,
            sign_in: load(&[PUBLISH, &functions, SIGN_IN].concat()).await?,
        })
    }
}

/// A call of a script.
pub(super) fn evalsha(script: &str, keys: &[&str]) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(script).arg(keys.len());
    for key in keys {
        call.arg(*key);
    }
    call
}

/// Adds the arguments of `index_put.lua` for this request. The id of a sign-in that needs more is for the store that is
/// shipped: `needs_more`.
pub(super) fn push_entry(call: &mut Cmd, request: &AddRequest) {
    let start = request.id.created_at().as_millis();
    let seconds = (request.deadline.as_millis() - start)
        .div_ceil(1000)
        .max(64);
    let exponent = seconds.ilog2() - 6;
    let mantissa = seconds.div_ceil(1 << exponent) - 64;
    let score = start * 2048 + u64::from(exponent) * 64 + mantissa;
    let stale_after = STALE_AFTER.as_millis() as u64;
    let keep = request.deadline.as_millis() - request.now.as_millis() + stale_after;
    call.arg(score).arg(request.id.to_string()).arg(keep);
}

/// Whether a sign-in needs more than `index_put.lua` does: one in eight removes stale entries.
pub(super) fn needs_more(request: &AddRequest) -> bool {
    let removes_stale = request.id.to_string().as_bytes()[35].is_multiple_of(8);
    request.limit.is_some() || !request.dead.is_empty() || removes_stale
}

/// The reply of a script on a session's key.
pub(super) enum Reply {
    Number(i64),
    Other(Vec<u8>),
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, redis_rs::ParsingError> {
        match value {
            Value::Int(number) => Ok(Self::Number(number)),
            other => Vec::from_redis_value(other).map(Self::Other),
        }
    }
}
