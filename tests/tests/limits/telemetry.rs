//! Events and metrics: complete, and without what identifies anybody.

use std::net::IpAddr;
use std::time::Duration;

use cloakroom_limit::{Limits, Rate, describe_metrics};
use http::HeaderMap;
use tests::log::Log;
use tests::recorder::{MetricsRecorder, Series};
use tests::redis::RedisServer;

use crate::guard::Browser;
use crate::setup::{LONG, guard_builder, limiter, store};

fn lines(recorder: &MetricsRecorder) -> Vec<String> {
    recorder.take().iter().map(Series::line).collect()
}

#[tokio::test]
async fn requests_are_counted_by_limit_and_outcome() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let log = Log::capture();
    let trial = Rate::new("trial", 1, LONG).report_only();
    let limiter = limiter(&Limits::in_memory(), [Rate::new("api", 2, LONG), trial]);
    for _ in 0..5 {
        let _ = limiter.check("198.51.100.77", 1).await;
    }
    assert_eq!(
        lines(&recorder),
        [
            r#"limit_requests_total{limit="api",outcome="allowed"} 2"#,
            r#"limit_requests_total{limit="api",outcome="refused"} 3"#,
            r#"limit_requests_total{limit="trial",outcome="allowed"} 1"#,
            r#"limit_requests_total{limit="trial",outcome="reported"} 4"#,
        ]
    );
    assert_eq!(log.count("request above a limit"), 7);
    assert!(!log.text().contains("198.51"));
}

#[tokio::test]
async fn attempts_are_counted_and_logged_without_names_and_addresses() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let log = Log::capture();
    let guard = guard_builder(&Limits::in_memory())
        .with_free_attempts(100)
        .with_max_failures(5)
        .with_site_threshold(3)
        .build()
        .expect("a valid configuration");
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada@example.org").await;
    let (none, address) = (HeaderMap::new(), Some(IpAddr::from([198, 51, 100, 77])));
    for _ in 0..6 {
        drop(guard.attempt("ada@example.org", &none, address).await);
    }
    let attempt = owner.attempt(&guard, "ada@example.org").await;
    attempt.expect("one is reserved").cancelled().await;
    guard.lift("ada@example.org").await.expect("in memory");
    assert_eq!(
        lines(&recorder),
        [
            r#"sign_in_attempts_total{outcome="cancelled"} 1"#,
            r#"sign_in_attempts_total{outcome="failed"} 4"#,
            r#"sign_in_attempts_total{outcome="stopped"} 2"#,
            r#"sign_in_attempts_total{outcome="succeeded"} 1"#,
        ]
    );
    for (event, count) in [
        ("sign-in attempt succeeded", 1),
        ("sign-in attempt failed", 4),
        ("sign-in attempt refused", 2),
        ("sign-in attempt given back", 1),
        ("account stopped for unknown browsers", 1),
        ("unusually many failed sign-in attempts", 1),
        ("delays and stop of an account lifted", 1),
    ] {
        assert_eq!(log.count(event), count, "{event}: {}", log.text());
    }
    assert!(!log.text().contains("ada@") && !log.text().contains("198.51"));
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_end_as_well() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let log = Log::capture();
    let mut server = RedisServer::start();
    let limits = Limits::new(&store(&server.url(), Duration::from_millis(250)).await);
    let limiter = limiter(&limits, [Rate::new("api", 1000, LONG)]);
    server.kill();
    for _ in 0..20 {
        let _ = limiter.check("ada", 1).await;
    }
    assert_eq!(log.count("the store cannot be reached"), 1);
    let fallbacks = recorder.take().into_iter();
    let mut fallbacks = fallbacks.filter(|series| series.name == "cloakroom_limit_fallbacks_total");
    assert_eq!(fallbacks.next().map(|series| series.count), Some(20));
    server.start_again();
    tests::wait::within("it is back", Duration::from_secs(20), async || {
        let _ = limiter.check("ada", 1).await;
        log.count("the store can be reached again") == 1
    })
    .await;
}

#[test]
fn every_metric_is_described() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    describe_metrics();
    assert_eq!(recorder.described().len(), 3);
}
