//! Scenarios of the demo's devices page in real browsers, for any store, on one server or two.

use std::time::{Duration, Instant};

use crate::chromium::Chromium;
use crate::demo::Demo;
use crate::wait::within;

/// A user, and her password.
pub const ADA: (&str, &str) = ("Ada", "ada-password");

/// The administrator, and her password.
pub const MONA: (&str, &str) = ("Mona", "mona-password");

/// How long a page waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// How soon a page shows that its session was ended in another browser, on a busy machine too: long before it would
/// notice by itself, when the session expires.
const AT_ONCE: Duration = Duration::from_secs(10);

/// One user in two browsers, which may be on different servers.
///
/// # Panics
///
/// When an expectation fails.
pub async fn two_profiles(laptop_s: &Demo, phone_s: &Demo) {
    let (phone, laptop) = (Chromium::start().await, Chromium::start().await);
    sign_in(&phone, phone_s, ADA).await;
    sign_in(&laptop, laptop_s, ADA).await;
    let devices = format!("{}/devices", laptop_s.url());
    laptop.open(&devices).await;
    assert_eq!(laptop.count(".devices li").await, 2);
    assert_eq!(laptop.count(".current").await, 1);
    assert!(laptop.text(".devices").await.contains("Chrome on Linux"));
    assert!(laptop.text(".devices").await.contains("127.0.0.1"));

    one_ends_the_other(&laptop, &phone).await;
    the_list_follows(&laptop, &phone, phone_s).await;

    confirm(&laptop, "#sign-out-others").await;
    is_expired(&phone, "from another device").await;
    assert!(laptop.text("#flash").await.contains("One other device"));
    sign_in(&phone, phone_s, ADA).await;
    listens(&phone).await;
    laptop.open(&devices).await;
    confirm(&laptop, "#sign-out-everywhere").await;
    is_expired(&phone, "from another device").await;
    assert!(laptop.text("#flash").await.contains("everywhere"));
    assert_eq!(laptop.count("#user").await, 0);
}

/// The open page of the phone changes without being reloaded.
async fn one_ends_the_other(laptop: &Chromium, phone: &Chromium) {
    listens(phone).await;
    phone.run("window.marker = 7").await;
    let page = laptop.page().await;
    laptop.click(".devices summary").await;
    laptop.click(".devices form button").await;
    let clicked = Instant::now();
    is_expired(phone, "from another device").await;
    let passed = clicked.elapsed();
    assert!(passed < AT_ONCE, "{passed:?}");
    assert_eq!(phone.run("return window.marker").await, 7, "not loaded");
    assert_eq!(phone.text("#ended h1").await, "You were signed out");
    assert!(phone.title().await.contains("You were signed out"));
    laptop.gone(&page).await;
    assert!(laptop.text("#flash").await.contains("signed out"));
    assert_eq!(laptop.count(".devices li").await, 1);
    // The session has really ended.
    phone.follow("#ended a").await;
    assert_eq!(phone.count("#user").await, 0);
    assert_eq!(phone.count("#sign-in").await, 1);
}

/// An open list is updated, and its times too.
async fn the_list_follows(laptop: &Chromium, phone: &Chromium, phone_s: &Demo) {
    listens(laptop).await;
    laptop.run("window.marker = 7").await;
    sign_in(phone, phone_s, ADA).await;
    until("the list has both", async || {
        laptop.count(".devices li").await == 2
    })
    .await;
    assert_eq!(laptop.run("return window.marker").await, 7, "not loaded");
    let seen =
        "document.querySelector('.devices [data-clock=ago]').dateTime = '2026-01-01T00:00:00Z'";
    laptop.run(seen).await;
    until("it is long ago", async || {
        laptop.text(".devices").await.contains(" days ago")
    })
    .await;
    phone.follow("#sign-out").await;
    until("the list has one", async || {
        laptop.count(".devices li").await == 1
    })
    .await;
    sign_in(phone, phone_s, ADA).await;
    listens(phone).await;
    laptop.reload().await;
    assert_eq!(laptop.count(".devices li").await, 2);
}

/// Two tabs of one browser: each shows what the other does to the session.
///
/// # Panics
///
/// When an expectation fails.
pub async fn two_tabs(demo: &Demo) {
    let browser = Chromium::start().await;
    sign_in(&browser, demo, ADA).await;
    let first = browser.tabs().await.remove(0);
    let second = new_tab(&browser, "/devices").await;
    listens(&browser).await;

    // The session is renewed.
    browser.turn_to(&first).await;
    browser.open(&format!("{}/security", demo.url())).await;
    browser.run(ASK_AGAIN).await;
    browser.fill("#password", ADA.1).await;
    browser.follow("#again button").await;
    browser.turn_to(&second).await;
    is_expired(&browser, "still shows the old session").await;
    assert_eq!(browser.text("#ended h1").await, "This page is out of date");
    browser.follow("#ended a").await;
    assert_eq!(browser.text("main h1").await, "Your devices");
    assert_eq!(browser.count(".devices li").await, 1);

    // The session ends.
    listens(&browser).await;
    browser.turn_to(&first).await;
    browser.reload().await;
    listens(&browser).await;
    browser.run(NOTICE).await;
    browser.follow("#sign-out").await;
    let noticed = browser.run("return sessionStorage.getItem('noticed')");
    assert!(
        noticed.await.is_null(),
        "the tab that signs out learns it from the response"
    );
    browser.turn_to(&second).await;
    is_expired(&browser, "You signed out").await;
}

/// Records, for the next page, whether this page announced the end of the session.
const NOTICE: &str = "const ended = document.getElementById('ended');
    const notice = () => sessionStorage.setItem('noticed', ended.hidden);
    new MutationObserver(notice).observe(ended, { attributes: true });";

/// The password form while the sign-in is still recent, as in a tab that was loaded later.
const ASK_AGAIN: &str = "document.getElementById('main').innerHTML = `
    <form id=again method=post action=/security>
        <input id=password name=password type=password> <button>Confirm</button>
    </form>`";

/// An administrator ends the session of a user.
///
/// # Panics
///
/// When the user does not see it, or sees the page of the administrator.
pub async fn an_admin(demo: &Demo) {
    let (user, admin) = (Chromium::start().await, Chromium::start().await);
    let admin_page = format!("{}/admin", demo.url());
    user.open(&admin_page).await;
    assert!(user.text("h1").await.contains("Please sign in"));
    sign_in(&user, demo, ADA).await;
    user.open(&admin_page).await;
    assert!(user.text("main h1").await.contains("Admins only"));
    user.open(demo.url()).await;
    listens(&user).await;
    sign_in(&admin, demo, MONA).await;
    admin.open(&admin_page).await;
    assert_eq!(admin.count("[data-user=Ada] [data-id]").await, 1);
    confirm(&admin, "[data-user=Ada] [data-id]").await;
    is_expired(&user, "An administrator").await;
    assert_eq!(admin.count("[data-user=Ada] [data-id]").await, 0);
    assert_eq!(admin.count("[data-user=Mona] [data-id]").await, 1);

    // All sessions of the user.
    listens(&admin).await;
    sign_in(&user, demo, ADA).await;
    listens(&user).await;
    until("the administrator sees her", async || {
        admin.count("[data-user=Ada] [data-id]").await == 1
    })
    .await;
    confirm(&admin, "[data-user=Ada] .user").await;
    is_expired(&user, "An administrator").await;
    assert!(admin.text("#flash").await.contains("of Ada"));
}

/// A sensitive page asks for the password if the sign-in is not recent. The demo runs with
/// `--recent-sign-in 2s`.
///
/// # Panics
///
/// When it does not, or when the data of the session is lost.
pub async fn recent_sign_in(demo: &Demo) {
    let browser = Chromium::start().await;
    let security = format!("{}/security", demo.url());
    browser.open(&security).await;
    assert!(browser.text("h1").await.contains("Please sign in"));
    sign_in(&browser, demo, ADA).await;
    browser.fill("#text", "stays").await;
    browser.follow(".add button").await;
    until("the sign-in is not recent", async || {
        browser.open(&security).await;
        browser.count("#confirm").await == 1
    })
    .await;
    browser.fill("#password", "bela-password").await;
    browser.follow("#confirm button").await;
    assert!(browser.text("#password-error").await.contains("is wrong"));
    browser.fill("#password", ADA.1).await;
    browser.follow("#confirm button").await;
    assert!(browser.text("#codes").await.contains("7F3K-92QD"));
    browser.open(demo.url()).await;
    assert_eq!(browser.text("#user").await, "Ada");
    assert_eq!(browser.text(".notes li .text").await, "stays");
}

/// Signs a user in on the start page.
///
/// # Panics
///
/// When that fails.
pub async fn sign_in(browser: &Chromium, demo: &Demo, (name, password): (&str, &str)) {
    browser.open(demo.url()).await;
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
    browser.follow("#sign-in button").await;
    assert_eq!(browser.text("#user").await, name);
}

/// Clicks on a destructive action inside of an element, and confirms it.
pub async fn confirm(browser: &Chromium, selector: &str) {
    browser.click(&format!("{selector} summary")).await;
    browser.follow(&format!("{selector} form button")).await;
}

/// Opens another tab, and switches to it.
///
/// # Panics
///
/// When it does not open.
pub async fn new_tab(browser: &Chromium, path: &str) -> String {
    let before = browser.tabs().await;
    browser.run(&format!("window.open('{path}')")).await;
    let tabs = browser.tabs().await;
    let new = tabs.into_iter().find(|tab| !before.contains(tab));
    let new = new.expect("a tab opens");
    browser.turn_to(&new).await;
    new
}

/// Waits until the page receives events.
pub async fn listens(browser: &Chromium) {
    let script = "return 'connected' in document.documentElement.dataset";
    until("the page listens", async || {
        browser.run(script).await == true
    })
    .await;
}

/// Waits until the page says that the session has ended, and why.
///
/// # Panics
///
/// When it does not, or shows another reason.
pub async fn is_expired(browser: &Chromium, reason: &str) {
    let script = "return document.getElementById('ended')?.hidden === false";
    until("the page says that the session has ended", async || {
        browser.run(script).await == true
    })
    .await;
    let shown = browser.text("#ended-reason").await;
    assert!(shown.contains(reason), "{shown}");
    let main = browser.run("return document.getElementById('main').hidden");
    assert_eq!(main.await, true, "the page is hidden");
}

/// Waits for a condition.
///
/// # Panics
///
/// When it does not become true.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    within(what, PATIENCE, condition).await;
}
