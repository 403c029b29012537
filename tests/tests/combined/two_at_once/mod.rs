//! Two requests of one browser at the same time that both renew the session, sign in, or sign out: what
//! the user has in the end, whichever response arrives last.
//!
//! `CLOAKROOM_LONG=1` makes it 200 trials each. `cargo test --test combined side_by_side -- --nocapture`
//! prints the figures of all kinds, those of tower-sessions included.

mod race;
mod script;

use tests::iterations::times;

use self::race::{Figures, run};
use self::script::{SCRIPTS, Script, Timing};
use crate::kinds::{Kind, Shop};
use crate::setup::Storage;

fn trials() -> usize {
    times(10, 200)
}

async fn figures(kind: Kind, memory: bool, script: &Script) -> Figures {
    let mut shop = if memory {
        Shop::in_memory(kind).await
    } else {
        Shop::open(kind, Storage::redis()).await
    };
    let mut figures = Figures::default();
    for trial in 0..trials() {
        shop.reset(kind).await;
        run(&shop, script, trial, &mut figures).await;
    }
    figures
}

/// Nobody is signed out, no cart is lost, no session is left over.
async fn nothing_is_lost(kind: Kind, memory: bool, script: &Script) {
    let figures = figures(kind, memory, script).await;
    if !kind.is_our_layer() {
        // Their layer decides about cookies: never worse than on their own store.
        figures.is_not_worse_than_expected_of_theirs(script);
        return;
    }
    assert_eq!(figures.signed_out, 0, "signed out: {figures:?}");
    if script.signs_in_beside_a_renewal() {
        // The sign-in must not get into what was renewed, as after a second factor.
        let most = figures.trials;
        assert!(figures.extra_sessions <= most, "extra: {figures:?}");
        let may_lose_cart = script.timing == Timing::After;
        assert!(
            may_lose_cart || figures.cart_lost == 0,
            "cart lost: {figures:?}"
        );
    } else {
        assert_eq!(figures.cart_lost, 0, "cart lost: {figures:?}");
        let extra = figures.extra_sessions;
        assert_eq!(extra, 0, "extra live sessions: {figures:?}");
    }
    assert_eq!(figures.anonymous, 0, "anonymous sessions left: {figures:?}");
    assert_eq!(figures.revived, 0, "alive after a sign-out: {figures:?}");
    assert_eq!(figures.errors, 0, "not answered with success: {figures:?}");
    if kind.is_native() && script.signs_in() || kind.knows_users() && script.starts_anonymous() {
        assert_eq!(figures.lost_response, 0, "a response was lost: {figures:?}");
        assert_eq!(figures.edits_lost, 0, "edits lost: {figures:?}");
    }
}

macro_rules! scripts {
    ($kind:expr, $memory:expr) => {
        scripts!($kind, $memory, two_renewals, 0);
        scripts!($kind, $memory, two_sign_ins, 1);
        scripts!($kind, $memory, two_reauthentications, 2);
        scripts!($kind, $memory, an_old_cookie_renews_after_a_renewal, 3);
        scripts!($kind, $memory, an_old_cookie_signs_in_after_a_renewal, 4);
        scripts!($kind, $memory, an_old_cookie_writes_after_a_renewal, 5);
        scripts!($kind, $memory, a_renewal_and_a_sign_in, 6);
        scripts!($kind, $memory, a_renewal_and_a_sign_out, 7);
        scripts!($kind, $memory, a_renewal_after_a_sign_out, 8);
    };
    ($kind:expr, $memory:expr, $name:ident, $index:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            assert_eq!(SCRIPTS[$index].name, stringify!($name));
            nothing_is_lost($kind, $memory, &SCRIPTS[$index]).await;
        }
    };
}

macro_rules! kinds {
    ($($module:ident: $kind:expr, $memory:expr;)*) => {
        $(mod $module {
            use super::*;
            scripts!($kind, $memory);
        })*
    };
}

kinds! {
    native_in_memory: Kind::Native, true;
    native_on_redis: Kind::Native, false;
    bridge_0_14_in_memory: Kind::Bridge014, true;
    bridge_0_14_on_redis: Kind::Bridge014, false;
    bridge_0_15_on_redis: Kind::Bridge015, false;
    bare_bridge_in_memory: Kind::BareBridge, true;
    store_0_14_in_memory: Kind::Store014, true;
    store_0_14_on_redis: Kind::Store014, false;
    store_0_15_on_redis: Kind::Store015, false;
}

/// All kinds through the same scripts, beside tower-sessions on its own store: no figure of ours is worse.
#[tokio::test(flavor = "multi_thread")]
async fn side_by_side() {
    let mut table = vec![Figures::HEAD.to_owned()];
    let mut worse = Vec::new();
    for script in &SCRIPTS {
        table.push(script.name.replace('_', " "));
        let theirs = figures(Kind::Theirs, false, script).await;
        table.push(theirs.row(Kind::Theirs));
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Theirs) {
            let ours = figures(kind, false, script).await;
            table.push(ours.row(kind));
            if let Some(column) = ours.worse_than(&theirs, kind.knows_users(), script) {
                worse.push(format!("{}, {kind}: {column}", script.name));
            }
        }
    }
    report(&table.join("\n"));
    assert!(worse.is_empty(), "worse than tower-sessions: {worse:#?}");
}

#[allow(clippy::print_stdout, reason = "the figures are for people")]
fn report(table: &str) {
    println!("{table}");
}
