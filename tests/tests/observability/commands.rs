//! What is told of one command to the store: what came of it, how long it took, and in which span.

use std::time::{Duration, Instant};

use cloakroom::days;
use cloakroom_core::{StoreErrorKind, Token};
use tests::app::Stage;
use tests::faults::Fault::Refuse;
use tests::faults::Verb::{Load, Touch};
use tests::log::Log;
use tests::meters::{Meters, Series};

use super::{expect, nothing};

#[tokio::test]
async fn each_kind_of_failure_has_its_word() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    for (kind, word) in [
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::OutcomeUnknown, "outcome_unknown"),
        (StoreErrorKind::NotReplicated, "not_replicated"),
        (StoreErrorKind::OutOfMemory, "out_of_memory"),
        (StoreErrorKind::Refused, "refused"),
        (StoreErrorKind::Unreadable, "unreadable"),
        (StoreErrorKind::NewerFormat, "newer_format"),
    ] {
        drop(meters.take());
        stage.store.next(Load, Refuse(kind));
        browser.act(nothing).await;
        let lines: Vec<_> = meters.take().iter().map(Series::line).collect();
        let wanted = format!("store_commands_total{{outcome=\"{word}\",verb=\"load\"}} 1");
        assert!(lines.contains(&wanted), "{kind:?}: {lines:?}");
    }
}

#[tokio::test]
async fn a_touch_that_another_request_was_faster_with_is_superseded() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut slow = stage.signed_in().await;
    let mut quick = slow.clone();
    stage.clock.advance(days(1) / 2);
    drop(meters.take());
    let gate = stage.store.hold(Touch);
    let overtake = async {
        gate.reached().await;
        quick.act(nothing).await;
        gate.open();
    };
    tokio::join!(slow.act(nothing), overtake);
    expect(
        &meters,
        &[
            "loads_total{result=\"hit\"} 2",
            "store_commands_total{outcome=\"record\",verb=\"load\"} 2",
            "store_commands_total{outcome=\"superseded\",verb=\"touch\"} 1",
            "store_commands_total{outcome=\"touched\",verb=\"touch\"} 1",
        ],
    );
}

#[tokio::test]
async fn what_is_timed_is_the_time_the_store_took_in_seconds() {
    let meters = Meters::default();
    let _recording = meters.record();
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    drop(meters.take());
    // Between what the store surely took and what the whole request did, on a busy machine, too.
    let gate = stage.store.hold(Load);
    let begun = Instant::now();
    let hold = async {
        gate.reached().await;
        let held = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let held = held.elapsed();
        gate.open();
        held
    };
    let (_, held) = tokio::join!(browser.act(nothing), hold);
    let request = begun.elapsed();
    let series = meters.take();
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
async fn what_the_store_tells_stands_in_the_span_of_its_command() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let id = Token::parse(browser.cookie().unwrap()).unwrap().id();
    let log = Log::keep();
    browser.act(nothing).await;
    let text = log.text();
    let told = format!("store{{verb=\"load\" session={id}}}: tests::faults: Load");
    assert!(text.contains(&told), "{told}\n{text}");
}
