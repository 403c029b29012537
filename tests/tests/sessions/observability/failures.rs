//! Metrics of failed and cancelled commands.

use std::time::Duration;

use cloakroom::{Session, days};
use cloakroom_core::StoreErrorKind::{NotReplicated, OutOfMemory, Unavailable};
use http::StatusCode;
use tests::app::Fixture;
use tests::faulty_store::Fault::{After, Hang, LoseCommand, Refuse};
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{End, Load, Touch, Update};
use tests::log::Log;
use tests::recorder::{MetricsRecorder, Series};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{assert_recorded, destroy, edit, is_documented, nothing};

#[tokio::test]
async fn errors_are_counted_by_operation_and_kind() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    let only_errors = || {
        let series = recorder.take();
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
    fixture.store.next(Load, Refuse(OutOfMemory));
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"store_full\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"out_of_memory\",verb=\"load\"} 1",
        ],
    );
    fixture.store.next(Update, LoseCommand);
    browser.request(edit).await;
    let lost = "errors_total{kind=\"outcome_unknown\",operation=\"save\"} 1";
    assert_eq!(only_errors(), lost);
    let log = Log::capture();
    fixture.store.next(End, Refuse(Unavailable));
    browser.request(destroy).await;
    let alive = "errors_total{kind=\"unavailable\",operation=\"end\"} 1";
    assert_eq!(only_errors(), alive);
    assert_eq!(
        log.count("failed to end the session; it may still be alive"),
        1
    );
    fixture.clock.advance(days(1) / 2);
    fixture.store.next(Touch, LoseCommand);
    assert_eq!(browser.request(nothing).await.status, StatusCode::OK);
    let unseen = "errors_total{kind=\"outcome_unknown\",operation=\"touch\"} 1";
    assert_eq!(only_errors(), unseen);
    let mistake = |session: Session| async move {
        edit(session).await?;
        Ok(StatusCode::BAD_GATEWAY)
    };
    browser.request(mistake).await;
    assert_recorded(
        &recorder,
        &[
            "edits_dropped_total{reason=\"error_response\"} 1",
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 1",
        ],
    );
}

#[tokio::test]
async fn a_failed_load_of_a_detached_session_is_logged_and_counted() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let (_browser, mut session) = fixture.detached().await;
    drop(recorder.take());
    let log = Log::capture();
    fixture.store.next(Load, Refuse(OutOfMemory));
    assert!(session.reload().await.is_err());
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"store_full\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"out_of_memory\",verb=\"load\"} 1",
        ],
    );
    assert_eq!(log.count("failed to load the session"), 1);
}

#[tokio::test]
async fn a_rolled_back_session_is_counted_as_abandoned() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    // The old session cannot be ended, so a background task rolls the new one back.
    let gate = Gate::new();
    fixture.store.next(End, Refuse(Unavailable));
    fixture.store.next(End, After(gate.clone()));
    browser
        .request(|session| async move { session.renew() })
        .await;
    gate.reached().await;
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"unavailable\",operation=\"save\"} 1",
            "loads_total{result=\"hit\"} 1",
            "store_commands_total{outcome=\"created\",verb=\"create\"} 1",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 1",
            "store_commands_total{outcome=\"unavailable\",verb=\"end\"} 1",
        ],
    );
    gate.open();
    let mut series = Vec::new();
    let rolled_back = timeout(Duration::from_secs(30), async {
        while series.is_empty() {
            yield_now().await;
            series = recorder.take();
        }
    });
    assert!(
        rolled_back.await.is_ok(),
        "the new session is not rolled back"
    );
    let lines: Vec<_> = series.iter().map(Series::line).collect();
    let abandoned = "sessions_ended_total{reason=\"abandoned\"} 1".to_owned();
    assert!(lines.contains(&abandoned), "{lines:?}");
}

#[tokio::test]
async fn an_end_on_too_few_replicas_is_counted_and_is_an_error() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    fixture.store.next(End, Refuse(NotReplicated));
    browser.request(destroy).await;
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"not_replicated\",operation=\"end\"} 1",
            "loads_total{result=\"hit\"} 1",
            "sessions_ended_total{reason=\"destroyed\"} 1",
            "store_commands_total{outcome=\"not_replicated\",verb=\"end\"} 1",
            // It is read again, since it may have been renewed before.
            "store_commands_total{outcome=\"record\",verb=\"load\"} 2",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_command_is_counted_as_cancelled() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    fixture.store.next(Load, Hang);
    browser.request(nothing).await;
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"unavailable\",operation=\"load\"} 1",
            "loads_total{result=\"error\"} 1",
            "store_commands_total{outcome=\"cancelled\",verb=\"load\"} 1",
        ],
    );
    // The request itself is dropped, as when a browser disconnects.
    let gate = fixture.store.hold(Load);
    tokio::select! {
        _ = browser.request(nothing) => panic!("it cannot pass"),
        () = gate.reached() => {}
    }
    let cancelled = "store_commands_total{outcome=\"cancelled\",verb=\"load\"} 1";
    assert_recorded(&recorder, &[cancelled]);
}

#[tokio::test]
async fn an_outage_is_logged_once_in_a_while_and_every_failure_is_counted() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    let log = Log::capture();
    fixture.store.always(Some(Refuse(Unavailable)));
    for _ in 0..20 {
        let response = browser.request(nothing).await;
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_recorded(
        &recorder,
        &[
            "errors_total{kind=\"unavailable\",operation=\"load\"} 20",
            "loads_total{result=\"error\"} 20",
            "store_commands_total{outcome=\"unavailable\",verb=\"load\"} 20",
        ],
    );
    assert_eq!(log.count("failed to load the session"), 1);
    assert_eq!(log.count("suppressed=0"), 1);
}
