//! The headers of an answer whose request used its session.

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE, VARY};
use http::{Response, header::Entry};

use crate::cookie::transport::{hand_out, take_back};
use crate::event;
use crate::plan::CookiePlan;
use crate::session::handle::Handle;

/// In an answer's extensions: the session ended before this request's edits could be saved, so they
/// were dropped. The answer went out as the handler made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedMeanwhile;

/// Writes what the session means for the answer.
pub(super) fn finish<B>(handle: &Handle, answer: &mut Response<B>) {
    let (cookie, ended_meanwhile) = {
        let state = handle.state();
        let config = &handle.context.cookie;
        let cookie = match (state.cookie, state.live()) {
            (CookiePlan::HandOut, Some(live)) => {
                let limits = live.record.limits();
                let left = limits.deadline().since(handle.now());
                Some(hand_out(config, &live.token, left, limits.is_chosen()))
            }
            (CookiePlan::TakeBack, _) => Some(take_back(config)),
            (CookiePlan::Leave | CookiePlan::HandOut, _) => None,
        };
        (cookie, state.lost_edits())
    };
    if ended_meanwhile {
        answer.extensions_mut().insert(EndedMeanwhile);
    }
    let headers = answer.headers_mut();
    vary_on_cookie(headers);
    if let Some(cookie) = cookie {
        hand(answer, cookie);
    }
}

/// In an answer's extensions: the cookies that session layers have put into it.
#[derive(Clone, Default)]
struct Handed(Vec<HeaderValue>);

fn hand<B>(answer: &mut Response<B>, cookie: HeaderValue) {
    let handed = answer.extensions_mut().get_or_insert_default::<Handed>();
    handed.0.push(cookie.clone());
    answer.headers_mut().append(SET_COOKIE, cookie);
    forbid_storing(answer.headers_mut());
}

/// Hands on the cookies of layers further in, when another answer takes the place of theirs: what
/// they tell of was carried out.
pub(super) fn hand_on<B>(replaced: &mut Response<B>, answer: &mut Response<B>) {
    let handed = replaced.extensions_mut().remove::<Handed>();
    for cookie in handed.unwrap_or_default().0 {
        hand(answer, cookie);
    }
}

/// An answer that depended on the session must not be served to others by a cache (RFC 9110,
/// section 12.5.5; CVE-2023-30861).
fn vary_on_cookie(headers: &mut HeaderMap) {
    let names = headers.get_all(VARY).iter();
    let mut names = names.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let varies = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"cookie")
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
}

/// An answer that sets a cookie must not be stored (RFC 9111, section 7.3; CVE-2024-26144).
fn forbid_storing(headers: &mut HeaderMap) {
    let asked_for_public = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.as_bytes().split(|&byte| byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"public"))
    });
    if asked_for_public {
        event::cache_overruled();
    }
    let no_store = HeaderValue::from_static("no-store");
    match headers.entry(CACHE_CONTROL) {
        Entry::Occupied(mut entry) => {
            entry.insert(no_store);
        }
        Entry::Vacant(entry) => {
            entry.insert(no_store);
        }
    }
}
