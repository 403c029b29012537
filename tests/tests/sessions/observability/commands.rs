//! What is recorded of each store command: outcome, duration, span.

use std::time::{Duration, Instant};

use cloakroom::days;
use cloakroom_core::{StoreErrorKind, Token};
use tests::app::Fixture;
use tests::faulty_store::Fault::Refuse;
use tests::faulty_store::Verb::{Load, Touch};
use tests::log::Log;
use tests::recorder::{MetricsRecorder, Series};

use super::{assert_recorded, nothing};

#[tokio::test]
async fn each_kind_of_store_error_has_its_outcome_label() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    for (kind, word) in [
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::OutcomeUnknown, "outcome_unknown"),
        (StoreErrorKind::NotReplicated, "not_replicated"),
        (StoreErrorKind::OutOfMemory, "out_of_memory"),
        (StoreErrorKind::Refused, "refused"),
        (StoreErrorKind::Unreadable, "unreadable"),
        (StoreErrorKind::NewerFormat, "newer_format"),
    ] {
        drop(recorder.take());
        fixture.store.next(Load, Refuse(kind));
        browser.request(nothing).await;
        let lines: Vec<_> = recorder.take().iter().map(Series::line).collect();
        let wanted = format!("store_commands_total{{outcome=\"{word}\",verb=\"load\"}} 1");
        assert!(lines.contains(&wanted), "{kind:?}: {lines:?}");
    }
}

#[tokio::test]
async fn a_touch_after_a_concurrent_touch_moves_the_ttl_too() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut slow = fixture.browser_with_session().await;
    let mut quick = slow.clone();
    fixture.clock.advance(days(1) / 2);
    drop(recorder.take());
    let gate = fixture.store.hold(Touch);
    let overtake = async {
        gate.reached().await;
        quick.request(nothing).await;
        gate.open();
    };
    tokio::join!(slow.request(nothing), overtake);
    assert_recorded(
        &recorder,
        &[
            "loads_total{result=\"hit\"} 2",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 2",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 2",
        ],
    );
}

#[tokio::test]
async fn durations_measure_the_store_in_seconds() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    drop(recorder.take());
    // The duration is at least that of the held command, and at most that of the request, also on a busy
    // machine.
    let gate = fixture.store.hold(Load);
    let begun = Instant::now();
    let hold = async {
        gate.reached().await;
        let held = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let held = held.elapsed();
        gate.open();
        held
    };
    let (_, held) = tokio::join!(browser.request(nothing), hold);
    let request = begun.elapsed();
    let series = recorder.take();
    let timed: Vec<_> = series.iter().filter(|of| !of.times.is_empty()).collect();
    let [load] = timed[..] else {
        panic!("one command was sent: {timed:?}");
    };
    assert_eq!(load.name, "cloakroom_store_duration_seconds");
    let [took] = load.times[..] else {
        panic!("it was timed once: {load:?}");
    };
    let bounds = held.as_secs_f64()..=request.as_secs_f64();
    assert!(bounds.contains(&took), "{took} is not in {bounds:?}");
}

#[tokio::test]
async fn store_events_are_inside_the_span_of_their_command() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let id = Token::parse(browser.cookie().unwrap()).unwrap().id();
    let log = Log::capture();
    browser.request(nothing).await;
    let text = log.text();
    let expected = format!("store{{verb=\"load\" session={id}}}: tests::faulty_store: Load");
    assert!(text.contains(&expected), "{expected}\n{text}");
}
