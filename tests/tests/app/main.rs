//! The example app with all everyday tasks (`examples/app`), driven in Chromium: in memory on one server, and on Redis with
//! two servers.

mod abuse;
mod account;
mod devices;
mod mobile;
mod provider;
mod second_factor;
mod shop;
mod staff;
mod widths;

use tests::chromium::Chromium;

use self::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn every_task_works_in_memory_on_one_server() {
    every_task_works(&Shop::memory().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_works_on_redis_with_two_servers() {
    every_task_works(&Shop::redis().await).await;
}

/// All in the same two browsers: starting one takes longer than most tasks.
async fn every_task_works(shop: &Shop) {
    let (one, two) = (Chromium::start().await, Chromium::start().await);
    staff::the_staff_act_as_a_user_end_sessions_and_read_the_audit_log(shop, &one, &two).await;
    devices::a_device_is_signed_out_from_another_one_and_learns_why(shop, &one, &two).await;
    account::a_guest_registers_changes_the_account_and_comes_back(shop, &one).await;
    second_factor::an_account_with_a_second_factor_needs_a_new_code_for_each_sign_in(shop, &one)
        .await;
    provider::a_guest_signs_in_with_the_provider_and_is_the_same_user_next_time(shop, &two).await;
    mobile::an_app_gets_a_token_and_learns_why_it_has_ended(shop).await;
}
