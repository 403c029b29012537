//! The staff: acting as a user, ending sessions, and the audit log.

use tests::chromium::Chromium;
use tests::device_scenarios::until;

use super::shop::{Shop, assert_says, is_ended, listens, page_text, path, sign_in_as};
const BY_ADMIN: &str = "An administrator has signed you out.";

pub(crate) async fn the_staff_act_as_a_user_end_sessions_and_read_the_audit_log(
    shop: &Shop,
    ada: &Chromium,
    mona: &Chromium,
) {
    sign_in_as(ada, shop, "Ada").await;
    ada.open(&shop.at("/admin")).await;
    assert_says(&page_text(ada).await, "Not allowed");
    ada.open(&shop.at_other("/")).await;
    listens(ada).await;

    sign_in_as(mona, shop, "Mona").await;
    mona.open(&shop.at("/admin")).await;
    assert_eq!(mona.count("[data-user=Mona] button").await, 0);
    mona.follow("[data-user=Ada] .act").await;
    assert_says(&mona.text("#acting").await, "Mona acts as Ada");
    assert_eq!(mona.text("#user").await, "Ada");
    an_acting_session_has_only_the_rights_to_look(mona, shop).await;
    mona.open(&shop.at_other("/")).await;
    mona.follow("#acting button").await;
    assert_eq!(path(mona).await, "/admin");
    assert_says(&page_text(mona).await, "You are yourself again.");
    assert_eq!(mona.count("#acting").await, 0);

    mona.follow("[data-user=Ada] .end").await;
    assert_says(&page_text(mona).await, "Sessions ended: 1.");
    is_ended(ada, BY_ADMIN).await;
    ada.open(&shop.at("/account")).await;
    assert_eq!(ada.text("#ended-reason").await, BY_ADMIN);
    the_log_has_everything(mona, shop).await;
}

/// Neither the admin's recent sign-in nor the admin's password makes one of the user.
async fn an_acting_session_has_only_the_rights_to_look(mona: &Chromium, shop: &Shop) {
    mona.open(&shop.at("/admin")).await;
    assert_says(&page_text(mona).await, "Not allowed");
    for page in [
        "/account/email",
        "/account/password",
        "/account/second-factor",
    ] {
        mona.open(&shop.at(page)).await;
        assert!(path(mona).await.starts_with("/confirm?"), "{page}");
        assert_eq!(mona.count("#not-while-acting").await, 1);
        assert_eq!(mona.count("main [name=password]").await, 0);
    }
    for password in ["mona-password", "ada-password"] {
        assert_eq!(post(mona, "/confirm", &[("password", password)]).await, 403);
    }
    mona.open(&shop.at("/account")).await;
    let csrf = mona.attribute("#name-form [name=csrf]", "value").await;
    let csrf = csrf.expect("a token");
    let form = [
        ("csrf", &*csrf),
        ("password", "mona-was-here"),
        ("name", "M"),
        ("code", "000000"),
    ];
    for form_of in ["/account/name", "/account/email/confirm"] {
        assert_eq!(post(mona, form_of, &form).await, 403, "{form_of}");
    }
    an_acting_session_ends_none_of_the_user(mona, shop, &csrf).await;
    // What needs a recent sign-in redirects to the page of the password.
    for form_of in ["/account/password", "/account/email"] {
        assert_eq!(post(mona, form_of, &form).await, 401, "{form_of}");
    }
    let credentials = shop.database.user(1).await.expect("it responds");
    assert_eq!(credentials.expect("Ada").name, "Ada");
}

/// The forms are right otherwise: the user's own session could send them.
async fn an_acting_session_ends_none_of_the_user(mona: &Chromium, shop: &Shop, csrf: &str) {
    mona.open(&shop.at("/devices")).await;
    let id = mona.attribute("#devices [name=id]", "value").await;
    let id = id.expect("a session of Ada");
    let form = [("csrf", csrf), ("id", &*id)];
    for path in ["/devices/sign-out", "/devices/sign-out-others"] {
        assert_eq!(post(mona, path, &form).await, 403, "{path}");
    }
    mona.reload().await;
    let listed = mona.attribute("#devices [name=id]", "value").await;
    assert_eq!(listed, Some(id), "it is live");
}

/// Sends a form by a script of the page.
async fn post(browser: &Chromium, path: &str, form: &[(&str, &str)]) -> u16 {
    let form = serde_json::to_string(form).expect("text is JSON");
    let script = format!(
        "return fetch('{path}', {{ method: 'POST', body: new URLSearchParams({form}) }})
            .then(response => response.status)"
    );
    let status = browser.run(&script).await.as_u64();
    u16::try_from(status.expect("a status")).expect("a status")
}

/// Rows are written in the background: the page is loaded until all are there.
async fn the_log_has_everything(mona: &Chromium, shop: &Shop) {
    let expected = [
        "signed in 1 – – 127.0.0.1 ",
        "signed in 2 – – 127.0.0.1 ",
        "impersonation started 1 2 – 127.0.0.1 ",
        "impersonation stopped 1 2 – 127.0.0.1 ",
        "ended 1 – revoked_by_admin ",
    ];
    until("the log has everything", async || {
        mona.open(&shop.at("/admin")).await;
        let log = mona.text("#audit").await;
        expected.iter().all(|row| log.contains(row))
    })
    .await;
    let log = mona.text("#audit").await;
    assert_says(&log, "Mozilla/5.0");
    let ends = log.lines().filter(|row| row.starts_with("ended 1 "));
    assert_eq!(ends.count(), 1, "one row for all servers: {log}");
}
