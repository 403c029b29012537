//! Faults of the app itself.

use std::process::{Command, id};
use std::time::Duration;

use super::{Load, Loss, Outcome, block_in_place};
use crate::redis::RedisServer;

/// How long the app is stopped: longer than any timeout.
const STOPPED: Duration = Duration::from_secs(3);

/// The app's process is stopped (`SIGSTOP`), as by a suspended machine, and continued. The process is this
/// one, with all its clients. Requests in progress take longer; when it continues, their timeouts have
/// passed, although the replies are there. No others should be affected.
///
/// # Panics
///
/// When there is no `sh`.
pub async fn stopped_and_continued() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let load = Load::start(&server.url()).await;
    load.fault_starts();
    block_in_place(|| {
        let script = format!(
            "kill -s STOP $0; sleep {}; kill -s CONT $0",
            STOPPED.as_secs()
        );
        let status = Command::new("sh")
            .args(["-c", &script, &id().to_string()])
            .status();
        assert!(status.expect("there is `sh`").success());
    });
    load.fault_ends("the app stopped, then continued", Loss::Nothing)
        .await
        .unnoticed()
        .stopped_for(STOPPED)
}
