//! Points in time and durations, in words.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use maud::{Markup, html};

/// A point in time in UTC, to the second. The script adds the local time.
pub(super) fn timestamp(time: Option<SystemTime>) -> Markup {
    html! {
        @if let Some(time) = time {
            @let text = format_rfc3339_seconds(time).to_string();
            time datetime=(text) data-clock="timestamp" { (text.replace('T', " ").replace('Z', " UTC")) }
        } @else { "\u{2013}" }
    }
}

/// How long ago a time was, in its largest unit. The script updates it.
pub(super) fn ago(time: SystemTime) -> Markup {
    let passed = SystemTime::now().duration_since(time).unwrap_or_default();
    html! {
        time datetime=(format_rfc3339_seconds(time)) data-clock="ago" {
            @match passed.as_secs() {
                0..60 => "just now",
                _ => { (roughly(passed)) " ago" }
            }
        }
    }
}

/// How long it is until a time, in its largest unit, since seconds in a list would be distracting. The script
/// updates it.
pub(super) fn ahead(time: SystemTime) -> Markup {
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    html! {
        time datetime=(format_rfc3339_seconds(time)) data-clock="ahead" {
            @match left.as_secs() {
                0..60 => "in less than 1 min",
                _ => { "in " (roughly(left)) }
            }
        }
    }
}

/// How long it is until a time. The script counts it down.
pub(super) fn countdown(time: Option<SystemTime>) -> Markup {
    html! {
        @if let Some(time) = time {
            @let left = time.duration_since(SystemTime::now()).unwrap_or_default();
            time datetime=(format_rfc3339_seconds(time)) data-clock="countdown" { "in " (in_words(left)) }
        } @else { "\u{2013}" }
    }
}

/// A wait in seconds, rounded up.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The same in words, such as "in 3 seconds".
pub(super) fn in_seconds(wait: Duration) -> String {
    match whole_seconds(wait) {
        0 | 1 => "in a second".to_owned(),
        seconds => format!("in {seconds} seconds"),
    }
}

/// A duration in words: without minutes and seconds from one day on.
fn in_words(left: Duration) -> String {
    let seconds = left.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, ..) => format!("{hours} h {minutes} min {seconds} s"),
        (1, ..) => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

/// A duration in its largest unit.
fn roughly(passed: Duration) -> String {
    let minutes = passed.as_secs() / 60;
    match (minutes / 1440, minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up() {
        let words = |millis| in_seconds(Duration::from_millis(millis));
        assert_eq!(words(0), "in a second");
        assert_eq!(words(1000), "in a second");
        assert_eq!(words(1001), "in 2 seconds");
        assert_eq!(words(30_000), "in 30 seconds");
    }

    #[test]
    fn lists_show_only_the_largest_unit() {
        let words = |seconds| roughly(Duration::from_secs(seconds));
        assert_eq!(words(60), "1 min");
        assert_eq!(words(3599), "59 min");
        assert_eq!(words(7199), "1 h");
        assert_eq!(words(86_400), "1 day");
        assert_eq!(words(2_591_999), "29 days");
    }

    #[test]
    fn seconds_are_shown_only_below_one_day() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0 s");
        assert_eq!(words(1799), "29 min 59 s");
        assert_eq!(words(86_399), "23 h 59 min 59 s");
        assert_eq!(words(86_400), "1 day 0 h");
        assert_eq!(words(2_591_999), "29 days 23 h");
    }
}
