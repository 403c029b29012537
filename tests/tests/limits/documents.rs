//! The guides list every event and every metric of the crate.

use tests::documents::check_telemetry;

#[test]
fn the_guides_list_every_event_and_metric() {
    let source = "crates/cloakroom-limit/src/telemetry.rs";
    check_telemetry(source, &["docs/rate-limits.md", "docs/login-guard.md"], 10);
}
