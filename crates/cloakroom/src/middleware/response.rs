//! Finishes the response of a request that has used its session: `Set-Cookie`, `Vary` and `Cache-Control`.

use cloakroom_core::rotation::{SecretStatus, Secrets};
use cloakroom_core::{Authentication, Timestamp, Token};
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};
use http::{Response, header::Entry};

use crate::cookie::headers::{remove_cookie, set_cookie, token_header};
use crate::cookie::withheld::EditsDiscarded;
use crate::plan::CookiePlan;
use crate::session::shared::SharedSession;
use crate::state::{Live, State};
use crate::telemetry::log;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// In the extensions of a response: the session had ended before the edits of this request could be saved,
/// so they were discarded. The response is the handler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedConcurrently;

/// Adds what the session requires of the response.
pub(super) fn finish<B>(session: &SharedSession, response: &mut Response<B>, now: Timestamp) {
    let context = &*session.context;
    let (header, removed, lost_edits, discarded, user) = {
        let state = session.state();
        let header = session_header(session, &state, now);
        let removed = match &header {
            Some((name, _)) if name == SET_COOKIE => removed_cookies(session, &state, now),
            _ => Vec::new(),
        };
        let user = User::of(&state);
        (header, removed, state.lost_edits(), state.discarded(), user)
    };
    if lost_edits {
        response.extensions_mut().insert(EndedConcurrently);
    }
    if let Some(reason) = discarded {
        report_discarded(session, reason);
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    if context.uses_cookies() {
        vary_on(headers, &COOKIE);
    }
    if let Some(header) = &context.token_header {
        vary_on(headers, header.request_header());
    }
    if let Some((name, value)) = header {
        append_token(session, response, name, value);
    }
    for value in removed {
        append_token(session, response, SET_COOKIE, value);
    }
    #[cfg(feature = "oauth")]
    for value in session.take_cookies() {
        append_token(session, response, SET_COOKIE, value);
    }
    if let (Some(migration), Some(cookies)) = (&context.migration, session.legacy_cookies())
        && cookies.is_removed()
    {
        let value = remove_cookie(migration.cookie());
        append_token(session, response, SET_COOKIE, value);
    }
    protect_pages(session, user, response.headers_mut());
}

/// Who is at the other end of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    /// Also if someone else has ended the session during the request, and if it cannot be read who the user is: the page may
    /// have the user's data.
    SignedIn,
    /// The request has ended its session.
    SignedOut,
    Unknown,
}

impl User {
    fn of(state: &State) -> Self {
        if state.live().is_some() && state.entries().contains(Authentication::KEY) {
            Self::SignedIn
        } else if state.was_destroyed() {
            Self::SignedOut
        } else if state.had_user() {
            Self::SignedIn
        } else {
            Self::Unknown
        }
    }
}

/// Adds what the app has configured for the pages of signed-in users, and for a sign-out.
fn protect_pages(session: &SharedSession, user: User, headers: &mut HeaderMap) {
    let context = &session.context;
    let cache_control = context.cache_policy.value();
    if let (User::SignedIn, Some(value)) = (user, cache_control) {
        headers.entry(CACHE_CONTROL).or_insert(value);
    }
    let is_browser = !session.credentials.are_in_header();
    if let (User::SignedOut, true, Some(data)) = (user, is_browser, context.clear_site_data) {
        headers.entry(CLEAR_SITE_DATA).or_insert(data.value());
    }
}

fn report_discarded(session: &SharedSession, reason: EditsDiscarded) {
    log::edits_discarded(reason.label());
    let context = &*session.context;
    let name = context.cookie.name();
    match reason {
        EditsDiscarded::CrossSite => {}
        EditsDiscarded::OutsideCookiePath => context.once.outside_cookie_path(name),
        EditsDiscarded::CookieRefused => context.once.cookie_refused(name),
    }
}

/// Returns the header that sets or removes the session cookie, or does the same for a client that uses the
/// token header.
fn session_header(
    session: &SharedSession,
    state: &State,
    now: Timestamp,
) -> Option<(HeaderName, HeaderValue)> {
    let config = session.context.cookie.written(now);
    let header = match &session.context.token_header {
        Some(header) if session.credentials.are_in_header() => Some(header.response_header()),
        _ => None,
    };
    match (state.pending_cookie, state.live()) {
        (CookiePlan::Set, Some(live)) => {
            let token = token_to_send(session, live, now)?;
            if let Some(header) = header {
                return Some((header.clone(), token_header(config, &token)));
            }
            if session.is_host_outside_domain {
                session.context.once.outside_cookie_domain(config.name());
            }
            let limits = live.record.limits();
            let left = limits.deadline().since(now);
            let cookie = set_cookie(config, &token, left, limits.is_chosen());
            Some((SET_COOKIE, cookie))
        }
        (CookiePlan::Remove, _) => match header {
            Some(header) => Some((header.clone(), HeaderValue::from_static(""))),
            None => Some((SET_COOKIE, remove_cookie(config))),
        },
        (CookiePlan::Leave | CookiePlan::Set, _) => None,
    }
}

/// Returns the headers that remove the session's other cookies, when its own is set or removed: former ones
/// that the request has presented; and if sessions of several cookies have ended, that of the host itself,
/// wherever the configured path and domain are. The cookie of another live session stays.
fn removed_cookies(session: &SharedSession, state: &State, now: Timestamp) -> Vec<HeaderValue> {
    let mut removed = Vec::new();
    if !state.others().is_empty() {
        return removed;
    }
    let cookie = &session.context.cookie;
    let written = cookie.written(now);
    for other in cookie.accepted(now) {
        if other.is_apart_from(written) && session.credentials.has_cookie(other.name()) {
            removed.push(remove_cookie(other));
        }
    }
    if state.removes_all_cookies() {
        let of_host = written.clone().of_host();
        if cookie
            .accepted(now)
            .all(|other| of_host.is_apart_from(other))
        {
            removed.push(remove_cookie(&of_host));
        }
    }
    removed
}

/// Returns the token that the client should use from now on: the successor of the presented one, or the
/// presented one while it is current. One that was replaced meanwhile is not sent again.
fn token_to_send(session: &SharedSession, live: &Live, now: Timestamp) -> Option<Token> {
    let realm = &session.context.realm;
    if let Some(newer) = Secrets::successor(&live.record, &live.token, realm) {
        return Some(newer);
    }
    let status = Secrets::status(&live.record, &realm.digest(&live.token), now);
    (status == SecretStatus::Current).then(|| live.token.clone())
}

/// In the extensions of a response: the headers with tokens that session layers have added. It is only
/// there if there is an outer layer, which may replace the response.
#[derive(Clone, Default)]
struct SentTokens(Vec<(HeaderName, HeaderValue)>);

fn append_token<B>(
    session: &SharedSession,
    response: &mut Response<B>,
    name: HeaderName,
    value: HeaderValue,
) {
    if session.outer.is_some() {
        let extensions = response.extensions_mut();
        let sent = extensions.get_or_insert_default::<SentTokens>();
        sent.0.push((name.clone(), value.clone()));
    }
    response.headers_mut().append(name, value);
    forbid_storing(response.headers_mut());
}

/// When a response is replaced by an error response, carries over the tokens of inner layers: the changes
/// of their sessions are stored.
pub(super) fn carry_over_tokens<B>(
    session: &SharedSession,
    replaced: &mut Response<B>,
    response: &mut Response<B>,
) {
    let sent = replaced.extensions_mut().remove::<SentTokens>();
    for (name, value) in sent.unwrap_or_default().0 {
        append_token(session, response, name, value);
    }
}

/// Adds a header to `Vary`: a cache must not serve a response that depends on the session to other clients
/// (RFC 9110, section 12.5.5; CVE-2023-30861).
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

/// Sets `Cache-Control: no-store`: a response that sets a cookie must not be stored (RFC 9111, section 7.3;
/// CVE-2024-26144).
fn forbid_storing(headers: &mut HeaderMap) {
    let is_public = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.as_bytes().split(|&byte| byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"public"))
    });
    if is_public {
        log::public_cache_overridden();
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
