//! Reads the reply to `INFO`: lines of `name:value`, in sections.

use std::time::Duration;

/// The reply to `INFO`. Redis and Valkey differ in names; a missing field counts as a good state.
pub(crate) struct Info<'a>(pub(crate) &'a str);

impl<'a> Info<'a> {
    /// Returns the value of a field, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == Some(value)
    }

    /// Returns the value of a field, or 0 if it is missing or not a number.
    pub(super) fn number(&self, name: &str) -> u64 {
        let number = self.text(name).and_then(|value| value.parse().ok());
        number.unwrap_or(0)
    }

    /// Whether a snapshot was saved since the server started.
    pub(super) fn has_saved(&self) -> bool {
        self.saved_after_start() || self.counts_a_save()
    }

    /// By the time of the last save, which only changes when a save succeeds. A server reports the time
    /// of its start as its first save, in whole seconds, so a save in the first two seconds is missed.
    fn saved_after_start(&self) -> bool {
        let uptime = self.text("uptime_in_seconds");
        let uptime = uptime.and_then(|seconds| seconds.parse().ok());
        let start = uptime.and_then(|seconds| self.now_in_seconds().checked_sub(seconds));
        start.is_some_and(|start| self.number("rdb_last_save_time") > start.saturating_add(2))
    }

    /// By the number of saves, which `CONFIG RESETSTAT` resets, and which includes saves that are running
    /// or have failed. Redis reports it from 7.0 on; earlier, it reports how long the last save took,
    /// or -1. A server that reports neither counts as having saved.
    fn counts_a_save(&self) -> bool {
        let count = self.text("rdb_saves");
        let is_started = match (count, self.text("rdb_last_bgsave_time_sec")) {
            (Some(count), _) => count != "0",
            (None, Some(seconds)) => seconds != "-1",
            (None, None) => return true,
        };
        let is_finished = !self.is("rdb_bgsave_in_progress", "1");
        is_started && is_finished && !self.is("rdb_last_bgsave_status", "err")
    }

    /// How long ago the last snapshot was saved; `None` if none was, or if the server does not report it.
    pub(super) fn last_save_age(&self) -> Option<Duration> {
        let (now, saved) = (self.now_in_seconds(), self.number("rdb_last_save_time"));
        if self.has_saved() && now > 0 && saved > 0 {
            Some(Duration::from_secs(now.saturating_sub(saved)))
        } else {
            None
        }
    }

    /// The server's clock, in seconds since 1970; 0 if the server does not report it.
    fn now_in_seconds(&self) -> u64 {
        self.number("server_time_usec") / 1_000_000
    }
}

/// The first two numbers of a version. What is not a number counts as 0.
pub(super) fn version_numbers(version: &str) -> [u64; 2] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}
