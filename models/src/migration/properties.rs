//! The promises.

use stateright::Property;

use super::{Key, Kind, Link, Migration, Outcome, Phase, Request, Server, State};

pub(super) const ENDED: &str =
    "after the session has ended, on either side, no request that begins later is accepted";
pub(super) const DEPLOY: &str =
    "neither phase signs a user out, with servers of both phases at once";
pub(super) const INVALID: &str = "a sign-in invalidates the legacy cookie";

pub(super) fn all() -> Vec<Property<Migration>> {
    vec![
        Property::always(ENDED, |_, state: &State| {
            let accepted =
                |request: &Request| request.is_late && request.phase == Phase::Done(Outcome::Live);
            !state.requests.iter().any(accepted)
        }),
        Property::always(DEPLOY, |model: &Migration, state: &State| {
            let is_deploy =
                !model.has_legacy_app && model.requests.iter().all(|(kind, _)| *kind == Kind::Use);
            let lost = Phase::Done(Outcome::NotSignedIn);
            !is_deploy || state.requests.iter().all(|request| request.phase != lost)
        }),
        Property::always(INVALID, |model: &Migration, state: &State| {
            let mut requests = model.requests.iter().zip(&state.requests);
            !state.is_legacy_live
                || requests.all(|((kind, _), request)| {
                    *kind != Kind::SignIn || request.phase != Phase::Done(Outcome::Ended)
                })
        }),
        Property::sometimes("two requests find the same session", |_, state: &State| {
            let live = Phase::Done(Outcome::Live);
            state
                .requests
                .iter()
                .filter(|request| request.phase == live)
                .count()
                > 1
        }),
        Property::sometimes(
            "a session is unlinked while a server of the first phase checks it",
            |model: &Migration, state: &State| {
                let mut requests = model.requests.iter().zip(&state.requests);
                requests.any(|((_, server), request)| {
                    *server == Server::SideBySide && request.phase == Phase::Rechecking
                }) && state.key == Key::Record(Link::Unlinked)
            },
        ),
        Property::sometimes(
            "an unlinked session still has its legacy session",
            |_, state: &State| state.is_legacy_live && state.key == Key::Record(Link::Unlinked),
        ),
    ]
}
