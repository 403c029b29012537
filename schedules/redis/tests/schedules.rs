//! Each promise under some thousand schedules: see docs/proofs.md.

use schedules_redis::batches;
use schedules_redis::near::requests;

#[test]
fn each_item_is_executed_once_and_its_caller_gets_its_result() {
    batches::each_item_is_executed_once(4000);
}

#[test]
fn a_caller_that_leaves_does_not_hold_up_others() {
    batches::a_caller_leaves(4000);
}

#[test]
fn an_item_without_a_caller_is_not_executed() {
    batches::an_item_without_a_caller(1000);
}

#[test]
fn a_runtime_that_shuts_down_does_not_hold_up_the_callers_of_another() {
    batches::a_runtime_shuts_down(4000);
}

#[test]
fn items_beyond_the_maximum_of_a_batch_are_executed() {
    batches::more_items_than_a_batch_has(200);
}

#[test]
fn a_near_cache_serves_nothing_that_was_replaced_a_window_ago() {
    requests::each_change_is_reported(2000);
}

#[test]
fn a_message_that_reports_two_changes_leaves_a_stale_state_for_a_window_at_most() {
    requests::one_message_reports_two_changes(2000);
}

#[test]
fn a_near_cache_whose_connection_breaks_is_cleared_in_time() {
    requests::the_connection_for_messages_breaks(500);
}

#[test]
fn a_read_that_meets_a_message_leaves_no_earlier_state_in_the_near_cache() {
    requests::one_read_and_one_message(4000);
}
