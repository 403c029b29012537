//! The client's address behind trusted proxies.

mod chain;
mod forwarded;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap};
use ipnet::IpNet;

pub(crate) use self::chain::Chain;
pub use self::chain::ProxyHeader;

/// Finds the peer address of the connection in the extensions of a request.
pub(crate) type PeerAddress = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

/// Finds the client's address of a request.
///
/// It is the peer address of the connection. Behind proxies, that is the address of the proxy: if the app
/// trusts it, the address in its header is used instead, and so on through the chain, from the right. So
/// clients cannot forge an address.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::ConnectInfo;
/// use cloakroom::{ClientAddress, ProxyHeader};
///
/// let address = ClientAddress::new(|extensions| {
///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
/// })
/// .trusting_proxies(["10.0.0.0/8".parse()?], ProxyHeader::XForwardedFor);
/// # let request = http::Request::new(());
/// assert_eq!(address.of(request.headers(), request.extensions()), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientAddress {
    peer: PeerAddress,
    trusted: Arc<[IpNet]>,
    header: ProxyHeader,
}

impl ClientAddress {
    /// Finds the peer address of the connection in the extensions of a request, and trusts no proxy.
    pub fn new(peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self {
            peer: Arc::new(peer),
            trusted: Arc::default(),
            header: ProxyHeader::XForwardedFor,
        }
    }

    /// Sets the addresses of trusted proxies, and the header in which all of them report the client's
    /// address. Other headers are ignored: a client could have sent them.
    pub fn trusting_proxies(
        mut self,
        trusted: impl IntoIterator<Item = IpNet>,
        header: ProxyHeader,
    ) -> Self {
        self.trusted = trusted.into_iter().collect();
        self.header = header;
        self
    }

    /// Returns the client's address; `None` if the extensions do not contain the peer's.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = (self.peer)(extensions)?;
        let chain = Chain::of(peer, headers, self.header, &self.trusted);
        Some(chain.client(&self.trusted))
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddress")
            .field("trusted", &self.trusted)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
