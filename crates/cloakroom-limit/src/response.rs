//! The headers of limits, and the response to a refused request.
//!
//! Headers and problem types are those of draft-ietf-httpapi-ratelimit-headers-11. The partition key (`pk`) is
//! left out: it would show by what a client is counted.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::decision::{Decision, DecisionOutcome, LimitStatus};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const TYPES: &str = "https://iana.org/assignments/http-problem-types";

/// Adds `RateLimit-Policy` and `RateLimit`, for limits that are enforced. Headers of other layers stay: both
/// are lists.
pub(crate) fn append_headers(headers: &mut HeaderMap, decision: &Decision) {
    let limits = decision.limits().iter().filter(|limit| limit.is_enforced());
    let (mut policies, mut states) = (Vec::new(), Vec::new());
    for limit in limits {
        policies.push(limit.policy().to_owned());
        let mut state = format!("\"{}\";r={}", limit.name(), limit.remaining());
        if !limit.reset().is_zero() {
            state += &format!(";t={}", seconds(limit.reset()));
        }
        states.push(state);
    }
    for (name, items) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, states)] {
        if !items.is_empty() {
            let value = HeaderValue::try_from(items.join(", "));
            headers.append(name, value.expect("names of limits are visible ASCII"));
        }
    }
}

/// The response to a request that was not allowed: 429, or 503 without the store.
pub(crate) fn refusal(decision: &Decision) -> Response<Bytes> {
    let refusing = decision.limits().iter().filter(|limit| limit.refuses());
    let names: Vec<_> = refusing.map(LimitStatus::name).collect();
    let retry_after = decision.retry_after();
    if decision.outcome() == DecisionOutcome::Unavailable {
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporary-reduced-capacity",
            "Request cannot be satisfied due to temporary server capacity constraints",
            &names,
            Some(retry_after),
        )
    } else {
        problem(
            StatusCode::TOO_MANY_REQUESTS,
            "quota-exceeded",
            "Request cannot be satisfied as assigned quota has been exceeded",
            &names,
            Some(retry_after),
        )
    }
}

/// A response with a problem (RFC 9457).
pub(crate) fn problem(
    status: StatusCode,
    kind: &str,
    title: &str,
    policies: &[&str],
    retry_after: Option<Duration>,
) -> Response<Bytes> {
    let body = json!({
        "type": format!("{TYPES}#{kind}"),
        "title": title,
        "status": status.as_u16(),
        "violated-policies": policies,
    });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, json);
    insert_retry_after(headers, retry_after);
    response
}

/// Sets `Retry-After`, and that no cache keeps the response.
pub(crate) fn insert_retry_after(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(retry_after) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds(retry_after).max(1)));
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
