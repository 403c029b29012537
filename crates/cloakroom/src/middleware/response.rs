//! The headers of an answer whose request used its session.

use cloakroom_core::rotation::Secrets;
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};
use http::{Response, header::Entry};

use crate::cookie::headers::{hand_out, in_header, take_back};
use crate::plan::CookiePlan;
use crate::session::shared::Handle;
use crate::state::State;
use crate::telemetry::log;

/// In an answer's extensions: the session ended before this request's edits could be saved, so they
/// were dropped. The answer went out as the handler made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedMeanwhile;

/// Writes what the session means for the answer.
pub(super) fn finish<B>(handle: &Handle, answer: &mut Response<B>) {
    let context = &*handle.context;
    let (ticket, ended_meanwhile) = {
        let state = handle.state();
        (ticket(handle, &state), state.lost_edits())
    };
    if ended_meanwhile {
        answer.extensions_mut().insert(EndedMeanwhile);
    }
    let headers = answer.headers_mut();
    if context.reads_cookies() {
        vary_on(headers, &COOKIE);
    }
    if let Some(header) = &context.token_header {
        vary_on(headers, header.varies_on());
    }
    if let Some((name, value)) = ticket {
        hand(handle, answer, name, value);
    }
    if let (Some(arrivals), true) = (&context.arrivals, handle.former.cookie_goes()) {
        hand(handle, answer, SET_COOKIE, take_back(arrivals.cookie()));
    }
}

/// The header that hands out the ticket, or takes it back.
fn ticket(handle: &Handle, state: &State) -> Option<(HeaderName, HeaderValue)> {
    let context = &*handle.context;
    let config = &context.cookie;
    let header = context.token_header.as_ref();
    let header = header.filter(|_| handle.tickets.are_in_header());
    match (state.cookie, state.live(), header) {
        (CookiePlan::HandOut, Some(live), _) => {
            let newer = Secrets::newer(&live.record, &live.token, &context.realm);
            // A secret that has been overtaken in the meantime is not handed out again.
            let is_current = *live.record.digest() == context.realm.digest(&live.token);
            let token = newer
                .as_ref()
                .or_else(|| is_current.then_some(&live.token))?;
            if let Some(header) = header {
                return Some((header.in_answer().clone(), in_header(config, token)));
            }
            let limits = live.record.limits();
            let left = limits.deadline().since(handle.now());
            Some((
                SET_COOKIE,
                hand_out(config, token, left, limits.is_chosen()),
            ))
        }
        (CookiePlan::TakeBack, _, Some(header)) => {
            Some((header.in_answer().clone(), HeaderValue::from_static("")))
        }
        (CookiePlan::TakeBack, _, None) => Some((SET_COOKIE, take_back(config))),
        (CookiePlan::Leave | CookiePlan::HandOut, ..) => None,
    }
}

/// In an answer's extensions: the tickets that session layers have put into it. Only where there is one
/// further out, which may replace the answer.
#[derive(Clone, Default)]
struct Handed(Vec<(HeaderName, HeaderValue)>);

fn hand<B>(handle: &Handle, answer: &mut Response<B>, name: HeaderName, value: HeaderValue) {
    if handle.outer.is_some() {
        let handed = answer.extensions_mut().get_or_insert_default::<Handed>();
        handed.0.push((name.clone(), value.clone()));
    }
    answer.headers_mut().append(name, value);
    forbid_storing(answer.headers_mut());
}

/// Hands on the tickets of layers further in, when another answer takes the place of theirs: what
/// they tell of was carried out.
pub(super) fn hand_on<B>(handle: &Handle, replaced: &mut Response<B>, answer: &mut Response<B>) {
    let handed = replaced.extensions_mut().remove::<Handed>();
    for (name, value) in handed.unwrap_or_default().0 {
        hand(handle, answer, name, value);
    }
}

/// An answer that depended on the session must not be served to others by a cache (RFC 9110,
/// section 12.5.5; CVE-2023-30861).
fn vary_on(headers: &mut HeaderMap, wanted: &HeaderName) {
    let names = headers.get_all(VARY).iter();
    let mut names = names.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let varies = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(wanted.as_str().as_bytes())
    });
    if !varies {
        headers.append(VARY, HeaderValue::from(wanted.clone()));
    }
}

/// An answer that sets a cookie must not be stored (RFC 9111, section 7.3; CVE-2024-26144).
fn forbid_storing(headers: &mut HeaderMap) {
    let asked_for_public = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.as_bytes().split(|&byte| byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"public"))
    });
    if asked_for_public {
        log::cache_overruled();
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
