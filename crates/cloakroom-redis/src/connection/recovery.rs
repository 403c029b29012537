//! Reconnects when the watchdog asks for it.

use std::sync::Weak;
use std::time::Duration;

use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::link::SharedLink;
use crate::classify::ErrorClass;
use crate::log;
use crate::watchdog::Recovery;

/// The minimum time between two attempts: each one fails the commands in flight.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How long fred may take to reconnect before its client is replaced.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause after a `PING` without a reply.
const PING_PAUSE: Duration = Duration::from_millis(20);

/// Reconnects, once or until the server responds. It runs in a task of its own, so no request waits for
/// it, and ends with the store.
pub(super) async fn run(recovery: Recovery, link: Weak<SharedLink>) {
    let began = Instant::now();
    let until_responsive = recovery == Recovery::UntilResponsive;
    if until_responsive && let Some(link) = link.upgrade() {
        log::server_down(&link.address);
    }
    loop {
        let next = Instant::now() + MIN_INTERVAL;
        let Some(link) = link.upgrade() else {
            return;
        };
        reconnect(&link).await;
        if until_responsive {
            if !responds_before(next, &link).await {
                continue;
            }
            link.watchdog.server_recovered();
            log::server_up(&link.address, began.elapsed());
        }
        sleep_until(next).await;
        return link.watchdog.recovery_finished();
    }
}

async fn reconnect(link: &SharedLink) {
    let client = link.client();
    // In any other state than `Connected`, fred is already reconnecting.
    if client.is_connected() {
        let forced = timeout(RECONNECT_TIMEOUT, client.force_reconnection()).await;
        // While fred's task waits in a socket write, it does not read the order to reconnect.
        if !matches!(forced, Ok(Ok(()))) && client.is_connected() {
            link.replace_client();
        }
    } else if link.is_stopped() {
        link.replace_client();
    }
}

/// Sends `PING`s until one gets a reply, or until it is time to reconnect again.
async fn responds_before(next: Instant, link: &SharedLink) -> bool {
    while Instant::now() < next {
        let pong: Result<Value, FredError> = link.client().ping(None).await;
        if !pong.is_err_and(|error| is_silence(&error)) {
            return true;
        }
        sleep(PING_PAUSE).await;
    }
    false
}

/// Whether an error means that the server did not reply. An error that the server sends is a reply:
/// commands get theirs as fast.
fn is_silence(error: &FredError) -> bool {
    matches!(
        ErrorClass::of(error),
        ErrorClass::TimedOut | ErrorClass::NeverSent | ErrorClass::Unclear
    )
}
