//! The layer and its configuration.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tower_layer::Layer;

use super::by::By;
use super::config::{CostOf, LayerConfig, ResponseOf};
use super::service::RateLimitService;
use crate::decision::Decision;
use crate::error::ConfigError;
use crate::limiter::Plans;
use crate::limits::{Fallback, Limits};
use crate::rate::Rate;

/// Limits requests. A request that a limit refuses gets a 429 and does not reach the inner service.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use axum::extract::ConnectInfo;
/// use axum::{Router, routing::get};
/// use cloakroom::ClientAddress;
/// use cloakroom_limit::{By, ConfigError, Limits, Rate, RateLimitLayer};
///
/// # fn app() -> Result<Router, ConfigError> {
/// let address = ClientAddress::new(|extensions| {
///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
/// });
/// let limits = Limits::in_memory(); // in production: `Limits::new(&store)`
/// let layer = RateLimitLayer::builder(&limits)
///     .with_limit(
///         Rate::new("requests", 100, Duration::from_secs(60)).with_burst(20),
///         By::address(address),
///     )
///     .build()?;
/// let app = Router::new().route("/", get(|| async { "Hello" })).layer(layer);
/// # Ok(app)
/// # }
/// ```
///
/// Responses of limited routes have the headers `RateLimit-Policy` and `RateLimit` of
/// draft-ietf-httpapi-ratelimit-headers-11; refusals also have `Retry-After`, and a body of the type
/// `application/problem+json`. The extensions of the request contain the [`Decision`].
///
/// Place the layer outside of the session layer to limit by address, and inside of it to limit by user or by
/// session.
#[derive(Clone, Debug)]
pub struct RateLimitLayer(Arc<LayerConfig>);

/// Configures a [`RateLimitLayer`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct RateLimitLayerBuilder {
    limits: Limits,
    rates: Vec<Rate>,
    keys: Vec<By>,
    cost: Option<CostOf>,
    response: Option<ResponseOf>,
    fallback: Fallback,
    has_headers: bool,
}

impl RateLimitLayer {
    /// Returns a builder. Add at least one limit.
    pub fn builder(limits: &Limits) -> RateLimitLayerBuilder {
        RateLimitLayerBuilder {
            limits: limits.clone(),
            rates: Vec::new(),
            keys: Vec::new(),
            cost: None,
            response: None,
            fallback: Fallback::Local { servers: 1 },
            has_headers: true,
        }
    }
}

impl RateLimitLayerBuilder {
    /// Adds a limit, and what requests are counted by. A layer can have 16. They are decided at once: a
    /// request that one of them refuses is charged to none.
    pub fn with_limit(mut self, rate: Rate, by: By) -> Self {
        self.rates.push(rate);
        self.keys.push(by);
        self
    }

    /// Sets what a request costs, in units. By default each costs 1. Requests that cost 0 are not limited; one
    /// that costs more than a limit's burst takes the whole burst.
    pub fn with_cost(mut self, cost: impl Fn(&Parts) -> u32 + Send + Sync + 'static) -> Self {
        self.cost = Some(Arc::new(cost));
        self
    }

    /// Sets the response to a request that is not allowed. `Retry-After` and the headers of the limits are
    /// added to it. By default it is a problem in JSON (RFC 9457).
    ///
    /// ```
    /// use cloakroom_limit::{Decision, Limits, RateLimitLayer};
    /// use http::{Response, StatusCode};
    ///
    /// let builder = RateLimitLayer::builder(&Limits::in_memory()).with_response(|decision, _| {
    ///     let seconds = decision.retry_after().as_secs() + 1;
    ///     let mut response = Response::new(format!("Please wait {seconds} seconds.").into());
    ///     *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    ///     response
    /// });
    /// ```
    pub fn with_response(
        mut self,
        response: impl Fn(&Decision, &Parts) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.response = Some(Arc::new(response));
        self
    }

    /// Sets what decides while the store cannot be reached. The default is [`Fallback::Local`] for one server.
    pub fn with_fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Leaves the headers `RateLimit-Policy` and `RateLimit` out. `Retry-After` stays.
    pub fn without_headers(mut self) -> Self {
        self.has_headers = false;
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// If a limit is invalid (see [`Rate::new`]), if there are none or more than 16, if two have the same
    /// name, and if the fallback is for no server or for more than 1000.
    pub fn build(self) -> Result<RateLimitLayer, ConfigError> {
        Ok(RateLimitLayer(Arc::new(LayerConfig {
            plans: Plans::new(self.limits, &self.rates, self.fallback)?,
            keys: self.keys,
            cost: self.cost,
            response: self.response,
            has_headers: self.has_headers,
        })))
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, Arc::clone(&self.0))
    }
}

impl fmt::Debug for RateLimitLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayerBuilder")
            .field("rates", &self.rates)
            .field("keys", &self.keys)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}
