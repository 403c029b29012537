//! What can grow has a bound.

use std::time::Duration;

use tests::app::Fixture;

use super::*;

#[tokio::test]
async fn a_browser_has_eight_transactions_at_most_and_the_oldest_goes() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    let mut begun = Vec::new();
    for number in 0..20_usize {
        begun.push(begin(&mut browser, &app).await);
        fixture.clock.advance(Duration::from_millis(5));
        assert_eq!(transactions(&browser).len(), (number + 1).min(8));
    }
    assert!(fixture.store.inner().is_empty(), "nothing is stored");
    for (number, begun) in begun.iter().enumerate() {
        let response = callback(&mut browser, &app, &begun.state).await;
        if number < 12 {
            assert_refused(&response, "begun no sign-in with this state");
        } else {
            assert_eq!(Known::of(&response), *begun);
        }
    }
}

#[tokio::test]
async fn the_cookies_of_all_transactions_have_four_kibibytes_at_most() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    let next = format!("/{}", "x".repeat(511));
    for _ in 0..12 {
        let begun = begin_with(&mut browser, &app, &next).await;
        fixture.clock.advance(Duration::from_millis(5));
        let cookies = browser.jar.cookies().iter();
        let lengths = cookies.map(|cookie| cookie.name.len() + 1 + cookie.value.len());
        let total: usize = lengths.sum();
        assert!((500..=4096).contains(&total), "{total}");
        assert_eq!(begun.next, next, "the newest one is kept");
    }
}

#[tokio::test]
async fn completed_transactions_are_forgotten() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    for _ in 0..100 {
        let begun = begin(&mut browser, &app).await;
        assert_eq!(callback(&mut browser, &app, &begun.state).await.status, 200);
        fixture.clock.advance(Duration::from_secs(60));
    }
    // One mark for each of the last eleven minutes, and up to eight that no write has removed yet.
    let len = fixture.store.inner().len();
    assert!((11..=20).contains(&len), "{len}");
}
