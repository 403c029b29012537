//! Each promise under some thousand schedules: see docs/proofs.md.

use schedules_cloakroom::checks::{commits, end_notifier, key_lock, uncancellable};

#[test]
fn writers_of_one_session_take_turns_and_may_leave() {
    key_lock::writers_of_one_session(4000);
}

#[test]
fn work_that_has_begun_runs_to_its_end_although_its_caller_leaves() {
    uncancellable::a_caller_leaves(4000);
}

#[test]
fn a_watcher_is_notified_although_others_leave() {
    end_notifier::watchers_come_and_leave(4000);
}

#[test]
fn the_events_are_read_on_after_the_end_of_the_first_runtime() {
    end_notifier::the_first_runtime_ends(2000);
}

#[test]
fn concurrent_edits_are_stored_once_although_a_request_is_dropped() {
    commits::requests_of_one_session(2000);
}

#[test]
fn a_sign_in_that_is_dropped_happens_wholly_or_not_at_all() {
    commits::a_sign_in_is_dropped(2000);
}

#[test]
fn two_tasks_of_one_request_create_one_session() {
    commits::two_tasks_of_one_request_save(2000);
}
