//! What the services of a layer share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::RETRY_AFTER;
use http::request::Parts;

use super::body::LimitBody;
use super::by::By;
use crate::decision::Decision;
use crate::limiter::Plans;
use crate::response::{append_headers, insert_retry_after, refusal};

pub(super) type CostOf = Arc<dyn Fn(&Parts) -> u32 + Send + Sync>;
pub(super) type ResponseOf = Arc<dyn Fn(&Decision, &Parts) -> Response<Bytes> + Send + Sync>;

/// The configuration of a layer.
pub(super) struct LayerConfig {
    pub(super) plans: Plans,
    /// What each limit counts by.
    pub(super) keys: Vec<By>,
    pub(super) cost: Option<CostOf>,
    pub(super) response: Option<ResponseOf>,
    pub(super) has_headers: bool,
}

impl LayerConfig {
    /// Decides whether a request is allowed.
    pub(super) async fn decide(&self, parts: &Parts) -> Decision {
        let cost = self.cost.as_ref().map_or(1, |cost| cost(parts));
        let mut subjects = Vec::with_capacity(self.keys.len());
        // A request that costs nothing needs no keys, for which the session may have to be loaded.
        if cost > 0 {
            for by in &self.keys {
                let (kind, key) = by.key(parts).await;
                subjects.push(self.plans.limits().hash(kind, &key));
            }
        }
        self.plans.apply(&subjects, cost).await
    }

    /// The response to a request that is not allowed.
    pub(super) fn refuse<B>(&self, decision: &Decision, parts: &Parts) -> Response<LimitBody<B>> {
        let mut response = match &self.response {
            None => refusal(decision),
            Some(response) => response(decision, parts),
        };
        let headers = response.headers_mut();
        if !headers.contains_key(RETRY_AFTER) {
            insert_retry_after(headers, Some(decision.retry_after()));
        }
        if self.has_headers {
            append_headers(headers, decision);
        }
        response.map(LimitBody::refusal)
    }
}

impl fmt::Debug for LayerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerConfig")
            .field("plans", &self.plans)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
