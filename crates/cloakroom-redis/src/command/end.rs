//! `scripts/end.lua`: replaces a session by a tombstone.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::store::Ended;
use cloakroom_core::{Revision, StoreError, Tombstone};

use super::args::{Args, hash_of, millis};
use super::eval::ScriptCall;
use super::executor::Executor;
use super::script::{END, Reply, sha1_hex};
use super::session::{SMALL, push_head_start};
use crate::replication::Replication;

/// The end of a session.
pub(crate) struct End<'a> {
    pub(crate) key: &'a str,
    /// The revision at which the session ends; any value ends without one.
    pub(crate) expected: Option<Revision>,
    pub(crate) tombstone: &'a Tombstone,
    pub(crate) keep: Duration,
}

/// Ends a session. Without an expected revision this succeeds whatever is stored, also where a tombstone cannot be read:
/// the script leaves tombstones as they are, so it runs once more, and replaces exactly the value that it has found.
pub(crate) async fn end(
    executor: &Executor,
    replication: Option<&Replication>,
    end: End<'_>,
) -> Result<Ended, StoreError> {
    let mut reply = end.run(executor, replication, "").await?;
    if let (None, Reply::Other(found)) = (end.expected, &reply)
        && codec::decode(found).is_err()
    {
        let found = sha1_hex(found);
        reply = end.run(executor, replication, &found).await?;
    }
    match reply {
        Reply::Done => Ok(Ended::Ended),
        Reply::Nothing => Ok(Ended::Missing),
        Reply::Other(found) => not_ended(&found),
    }
}

impl End<'_> {
    /// Runs the script. `replaces` is the SHA-1 of the tombstone that it may replace, or empty.
    async fn run(
        &self,
        executor: &Executor,
        replication: Option<&Replication>,
        replaces: &str,
    ) -> Result<Reply, StoreError> {
        match replication {
            None => {
                let mut call = self.call();
                if !replaces.is_empty() {
                    call.args.push("");
                    call.args.push(replaces);
                }
                Reply::of(executor.run(call).await?)
            }
            Some(replication) => Box::pin(self.run_on_replicas(replication, replaces)).await,
        }
    }

    fn call(&self) -> ScriptCall {
        let tombstone = codec::encode_tombstone(self.tombstone);
        let mut args = Args::with_keys(&[self.key], tombstone.len() + SMALL);
        self.push_expected(&mut args, RecordFormat::V1);
        args.push(&tombstone);
        args.push_display(millis(self.keep));
        self.push_expected(&mut args, RecordFormat::V2);
        ScriptCall { script: &END, args }
    }

    fn push_expected(&self, args: &mut Args, format: RecordFormat) {
        match self.expected {
            Some(expected) => push_head_start(args, expected, format),
            None => args.push(""),
        }
    }

    /// Runs the script with `WAIT`, which is also judged if the session had ended before: the earlier end may
    /// not have reached the replicas. Always by its text: after a `NOSCRIPT` the pair would have to be sent
    /// again, and the second `WAIT` would start only when the first is complete.
    async fn run_on_replicas(
        &self,
        replication: &Replication,
        replaces: &str,
    ) -> Result<Reply, StoreError> {
        let mut write = replication.begin().await?;
        let mut call = self.call();
        call.args.push("1");
        call.args.push(replaces);
        let args = END.eval_args(1, call.args.into_values());
        let reply = Reply::of(write.send("EVAL", hash_of(self.key), args).await?)?;
        let is_refused = match &reply {
            Reply::Done | Reply::Nothing => false,
            Reply::Other(found) => !matches!(codec::decode(found), Ok(Stored::Tombstone(_))),
        };
        if !is_refused {
            write.acknowledged()?;
        }
        Ok(reply)
    }
}

/// The outcome of an end that found another value than expected.
fn not_ended(found: &Bytes) -> Result<Ended, StoreError> {
    Ok(match codec::decode(found)? {
        Stored::Record(record) => Ended::Conflict(record),
        Stored::Tombstone(tombstone) => Ended::AlreadyEnded(tombstone),
    })
}
