//! What is counted when something fails, or is cut off.

use std::time::Duration;

use cloakroom::{Session, days};
use cloakroom_core::StoreErrorKind::{NotReplicated, OutOfMemory, Unavailable};
use http::StatusCode;
use tests::app::Stage;
use tests::faults::Fault::{After, Hang, LoseCommand, Refuse};
use tests::faults::Gate;
use tests::faults::Verb::{End, Load, Touch, Update};
use tests::log::Log;
use tests::meters::{Meters, Series};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{destroy, edit, expect, is_documented, nothing};

#[tokio::test]
async fn errors_are_counted_by_operation_and_kind() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    drop(meters.take());
    let only_errors = || {
        let series = meters.take();
        let lines = series.iter().map(Series::line);
        let errors: Vec<_> = lines
            .filter(|line| line.starts_with("errors_total"))
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        for series in &series {
            is_documented(&series.name, series.labels.values());
        }
        errors.concat()
    };
    stage.store.next(Load, Refuse(OutOfMemory));
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "errors_total{kind=\"unavailable\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"out_of_memory\",verb=\"load\"} 1",
        ],
    );
    stage.store.next(Update, LoseCommand);
    browser.act(edit).await;
    let lost = "errors_total{kind=\"outcome_unknown\",operation=\"save\"} 1";
    assert_eq!(only_errors(), lost);
    let log = Log::keep();
    stage.store.next(End, Refuse(Unavailable));
    browser.act(destroy).await;
    let alive = "errors_total{kind=\"unavailable\",operation=\"end\"} 1";
    assert_eq!(only_errors(), alive);
    assert_eq!(
        log.count("failed to end the session; it may still be alive"),
        1
    );
    stage.clock.advance(days(1) / 2);
    stage.store.next(Touch, LoseCommand);
    assert_eq!(browser.act(nothing).await.status, StatusCode::OK);
    let unseen = "errors_total{kind=\"outcome_unknown\",operation=\"touch\"} 1";
    assert_eq!(only_errors(), unseen);
    let mistake = |session: Session| async move {
        edit(session).await?;
        Ok(StatusCode::BAD_GATEWAY)
    };
    browser.act(mistake).await;
    expect(
        &meters,
        &[
            "edits_dropped_total{reason=\"error_response\"} 1",
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 1",
        ],
    );
}

#[tokio::test]
async fn a_detached_session_that_cannot_be_loaded_is_told_and_counted() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let (_browser, mut session) = stage.detached().await;
    drop(meters.take());
    let log = Log::keep();
    stage.store.next(Load, Refuse(OutOfMemory));
    assert!(session.reload().await.is_err());
    expect(
        &meters,
        &[
            "errors_total{kind=\"unavailable\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"out_of_memory\",verb=\"load\"} 1",
        ],
    );
    assert_eq!(log.count("failed to load the session"), 1);
}

#[tokio::test]
async fn what_is_taken_back_is_counted_as_abandoned() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    drop(meters.take());
    // The old session cannot be ended, so a task of its own takes the new one back.
    let gate = Gate::new();
    stage.store.next(End, Refuse(Unavailable));
    stage.store.next(End, After(gate.clone()));
    browser.act(|session| async move { session.renew() }).await;
    gate.reached().await;
    expect(
        &meters,
        &[
            "errors_total{kind=\"unavailable\",operation=\"save\"} 1",
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"unavailable\",verb=\"end\"} 1",
        ],
    );
    gate.open();
    let mut taken_back = Vec::new();
    let told = timeout(Duration::from_secs(30), async {
        while taken_back.is_empty() {
            yield_now().await;
            taken_back = meters.take();
        }
    });
    assert!(told.await.is_ok(), "nobody takes the new session back");
    let lines: Vec<_> = taken_back.iter().map(Series::line).collect();
    let abandoned = "sessions_ended_total{reason=\"abandoned\"} 1".to_owned();
    assert!(lines.contains(&abandoned), "{lines:?}");
}

#[tokio::test]
async fn what_ended_on_too_few_replicas_has_ended_and_is_an_error() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    drop(meters.take());
    stage.store.next(End, Refuse(NotReplicated));
    browser.act(destroy).await;
    expect(
        &meters,
        &[
            "errors_total{kind=\"not_replicated\",operation=\"end\"} 1",
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"destroyed\"} 1",
            "store_commands_total{outcome=\"not_replicated\",verb=\"end\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_waits_for_any_more_is_counted_as_cancelled() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    drop(meters.take());
    stage.store.next(Load, Hang);
    browser.act(nothing).await;
    expect(
        &meters,
        &[
            "errors_total{kind=\"unavailable\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"cancelled\",verb=\"load\"} 1",
        ],
    );
    // The request itself is dropped, as by a browser that closes.
    let gate = stage.store.hold(Load);
    tokio::select! {
        _ = browser.act(nothing) => panic!("it cannot pass"),
        () = gate.reached() => {}
    }
    let cancelled = "store_commands_total{outcome=\"cancelled\",verb=\"load\"} 1";
    expect(&meters, &[cancelled]);
}
