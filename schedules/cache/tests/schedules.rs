//! Each promise under some thousand schedules: see docs/proofs.md.

use schedules_cache::{changes, flights};

#[test]
fn requests_share_a_read_whose_task_may_end() {
    flights::reads_are_shared(4000);
}

#[test]
fn readers_on_two_servers_share_a_load_and_may_leave() {
    changes::readers_share_a_load(2000);
}

#[test]
fn a_read_after_a_change_does_not_get_an_older_value() {
    changes::a_change_is_seen(2000);
}

#[test]
fn a_read_after_everything_was_forgotten_does_not_get_an_older_value() {
    changes::everything_is_forgotten(100);
}

#[test]
fn a_change_that_is_interrupted_is_not_lost() {
    changes::a_change_is_interrupted(2000);
}
