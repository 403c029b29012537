//! A TCP proxy in front of a server that simulates network faults.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    /// Drops commands, and forwards replies.
    CommandsDropped,
    /// Drops replies, and forwards commands.
    RepliesDropped,
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
    /// After this time without a byte, a connection is forgotten: its bytes are dropped from then on.
    memory: Option<Duration>,
    connections: Vec<Connection>,
    recording: bool,
}

#[derive(Debug)]
struct Connection {
    task: Option<AbortHandle>,
    /// Applies instead of the network of all connections.
    network: Option<Network>,
    last_byte: Instant,
    is_forgotten: bool,
    /// Bytes were dropped, which TCP never does in the middle of a stream: so all later ones are, too.
    commands_lost: bool,
    replies_lost: bool,
    /// The recorded bytes of the client.
    recorded: Vec<u8>,
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

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the behaviour, for all connections.
    pub fn set(&self, network: Network) {
        self.shared.state().network = network;
    }

    /// Changes the behaviour of the connections that there are, and not of later ones.
    pub fn set_open(&self, network: Network) {
        for connection in &mut self.shared.state().connections {
            connection.network = Some(network);
        }
    }

    /// Drops what the server sends on the newest connection from now on.
    pub fn silence_newest(&self) {
        if let Some(newest) = self.shared.state().connections.last_mut() {
            newest.network = Some(Network::RepliesDropped);
        }
    }

    /// Forgets connections on which no byte was sent for this time, as a load balancer does: they stay open,
    /// and all their bytes are dropped from then on.
    pub fn forget_after(&self, silence: Duration) {
        self.shared.state().memory = Some(silence);
    }

    /// The number of connections that were forgotten, and whose client has tried to use them since.
    #[must_use]
    pub fn forgotten(&self) -> usize {
        let state = self.shared.state();
        let connections = state.connections.iter();
        connections.filter(|one| one.is_forgotten).count()
    }

    /// The number of connections so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Forwards new connections to another server, and closes the existing ones.
    pub fn redirect_to(&self, target: u16) {
        self.shared.state().target = target;
        self.disconnect();
    }

    /// Closes all connections.
    pub fn disconnect(&self) {
        for connection in &mut self.shared.state().connections {
            if let Some(task) = connection.task.take() {
                task.abort();
            }
        }
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
        let connections = state.connections.iter_mut();
        connections
            .map(|connection| std::mem::take(&mut connection.recorded))
            .collect()
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

impl State {
    /// Notes that commands have arrived on a connection, and returns what to do with them.
    fn commands_arrived(&mut self, number: usize) -> Network {
        let network = self.arrived(number);
        let connection = &mut self.connections[number];
        connection.commands_lost |= matches!(
            network,
            Network::Blackholed | Network::Held | Network::CommandsDropped
        );
        match network {
            Network::Held => Network::Held,
            _ if connection.commands_lost => Network::CommandsDropped,
            network => network,
        }
    }

    /// The same for replies.
    fn replies_arrived(&mut self, number: usize) -> Network {
        let network = self.arrived(number);
        let connection = &mut self.connections[number];
        connection.replies_lost |= matches!(network, Network::Blackholed | Network::RepliesDropped);
        if connection.replies_lost {
            Network::RepliesDropped
        } else {
            network
        }
    }

    fn arrived(&mut self, number: usize) -> Network {
        let (memory, network) = (self.memory, self.network);
        let connection = &mut self.connections[number];
        let silence = connection.last_byte.elapsed();
        connection.last_byte = Instant::now();
        connection.is_forgotten |= memory.is_some_and(|memory| silence >= memory);
        if connection.is_forgotten {
            return Network::Blackholed;
        }
        connection.network.unwrap_or(network)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut state = shared.state();
        let number = state.connections.len();
        let task = tokio::spawn(forward(client, Arc::clone(&shared), number));
        state.connections.push(Connection {
            task: Some(task.abort_handle()),
            network: None,
            last_byte: Instant::now(),
            is_forgotten: false,
            commands_lost: false,
            replies_lost: false,
            recorded: Vec::new(),
        });
    }
}

/// Forwards one connection, until it is closed.
async fn forward(client: TcpStream, shared: Arc<Shared>, number: usize) {
    let target = SocketAddr::from(([127, 0, 0, 1], shared.state().target));
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
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
            let network = state.commands_arrived(number);
            if state.recording || network == Network::Held {
                let recorded = &mut state.connections[number].recorded;
                recorded.extend_from_slice(&bytes[..count]);
            }
            network
        };
        match network {
            Network::Held | Network::CommandsDropped => continue,
            Network::Slow(delay) => sleep(delay).await,
            _ => {}
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
        let network = shared.state().replies_arrived(number);
        let part = match network {
            Network::RepliesDropped => continue,
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
