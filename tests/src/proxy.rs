//! A TCP proxy in front of a server that simulates network faults.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Forwards them.
    #[default]
    Normal,
    /// Forwards commands after a delay.
    Slow(Duration),
    /// Drops them; connections stay open.
    Blackholed,
    /// Holds commands back, and records them.
    Held,
    /// Forwards half of a reply, then closes the connection.
    TruncateReplies,
}

/// A proxy on a port of this machine. The connections are closed on drop.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    network: Network,
    target: u16,
    /// The recorded bytes of clients, by connection.
    recorded: Vec<Vec<u8>>,
    recording: bool,
    open: Vec<AbortHandle>,
    /// The connection whose replies are dropped.
    silenced: Option<usize>,
}

impl Proxy {
    /// Starts a proxy in front of a port.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().map(|address| address.port());
        let shared = Arc::<Shared>::default();
        shared.state().target = target;
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Self {
            port: port.expect("it listens"),
            shared,
            listening,
        }
    }

    /// The URL of the port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes the behaviour, for all connections.
    pub fn set(&self, network: Network) {
        self.shared.state().network = network;
    }

    /// Forwards new connections to another server, and closes the existing ones.
    pub fn redirect_to(&self, target: u16) {
        self.shared.state().target = target;
        self.disconnect();
    }

    /// Closes all connections.
    pub fn disconnect(&self) {
        for connection in self.shared.state().open.drain(..) {
            connection.abort();
        }
    }

    /// Drops what the server sends on the newest connection from now on.
    pub fn silence_newest(&self) {
        let mut state = self.shared.state();
        state.silenced = state.recorded.len().checked_sub(1);
    }

    /// Starts recording what clients send.
    pub fn record(&self) {
        self.shared.state().recording = true;
    }

    /// Stops recording, and returns the recorded bytes by connection.
    #[must_use]
    pub fn take_recorded(&self) -> Vec<Vec<u8>> {
        let mut state = self.shared.state();
        state.recording = false;
        std::mem::take(&mut state.recorded)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.disconnect();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let connection = tokio::spawn(forward(client, Arc::clone(&shared)));
        shared.state().open.push(connection.abort_handle());
    }
}

/// Forwards one connection, until it is closed.
async fn forward(client: TcpStream, shared: Arc<Shared>) {
    let target = SocketAddr::from(([127, 0, 0, 1], shared.state().target));
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let number = {
        let mut state = shared.state();
        state.recorded.push(Vec::new());
        state.recorded.len() - 1
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = commands(from_client, to_server, &shared, number) => {}
        () = replies(from_server, to_client, &shared, number) => {}
    }
}

async fn commands(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    number: usize,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        let network = {
            let mut state = shared.state();
            if (state.recording || state.network == Network::Held)
                && let Some(recorded) = state.recorded.get_mut(number)
            {
                recorded.extend_from_slice(&bytes[..count]);
            }
            state.network
        };
        match network {
            Network::Blackholed | Network::Held => continue,
            Network::Slow(delay) => sleep(delay).await,
            Network::Normal | Network::TruncateReplies => {}
        }
        if server.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn replies(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    number: usize,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = server.read(&mut bytes).await {
        let network = {
            let state = shared.state();
            match state.silenced {
                Some(silenced) if silenced == number => Network::Blackholed,
                _ => state.network,
            }
        };
        let part = match network {
            Network::Blackholed => continue,
            Network::TruncateReplies => &bytes[..count.div_ceil(2)],
            _ => &bytes[..count],
        };
        if client.write_all(part).await.is_err() || network == Network::TruncateReplies {
            return;
        }
    }
}

/// Sends recorded bytes to a server on new connections, and waits until it has read them: commands that
/// the network delivers late.
///
/// # Panics
///
/// When the server does not accept them.
pub async fn deliver(port: u16, streams: &[Vec<u8>]) {
    for stream in streams.iter().filter(|stream| !stream.is_empty()) {
        let server = TcpStream::connect(("127.0.0.1", port)).await;
        let (mut replies, mut commands) = server.expect("it listens").into_split();
        let reader = tokio::spawn(async move {
            let mut sink = Vec::new();
            drop(replies.read_to_end(&mut sink).await);
        });
        commands.write_all(stream).await.expect("it reads");
        // The last command may be incomplete. The server closes the connection when it has read all.
        commands.shutdown().await.expect("it is open");
        reader.await.expect("it ends");
    }
}
