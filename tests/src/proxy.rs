//! A port that leads to a server, and misbehaves as told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// What becomes of bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// They arrive.
    #[default]
    Fair,
    /// They arrive later.
    Slow(Duration),
    /// They vanish, and connections stay open.
    Swallowed,
    /// Commands are kept back; they can be let go later.
    KeptBack,
    /// Of each answer, only the first bytes arrive; then the connection is cut.
    CutInAnswers,
}

/// A port of this machine that leads to a server. The connections end with the value.
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
    weather: Weather,
    target: u16,
    /// What clients have sent, connection by connection, while it was kept back or recorded.
    kept: Vec<Vec<u8>>,
    records: bool,
    open: Vec<AbortHandle>,
}

impl Proxy {
    /// A port that leads to this one.
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

    /// Changes the weather, for all connections.
    pub fn set(&self, weather: Weather) {
        self.shared.state().weather = weather;
    }

    /// Leads new connections to another server, and cuts the old ones.
    pub fn lead_to(&self, target: u16) {
        self.shared.state().target = target;
        self.cut();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for connection in self.shared.state().open.drain(..) {
            connection.abort();
        }
    }

    /// Writes down all that clients send from now on.
    pub fn record(&self) {
        self.shared.state().records = true;
    }

    /// What clients have sent, by connection, while it was written down or kept back.
    #[must_use]
    pub fn take_kept(&self) -> Vec<Vec<u8>> {
        let mut state = self.shared.state();
        state.records = false;
        std::mem::take(&mut state.kept)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let connection = tokio::spawn(lead(client, Arc::clone(&shared)));
        shared.state().open.push(connection.abort_handle());
    }
}

/// One connection, until one end closes it or it is cut.
async fn lead(client: TcpStream, shared: Arc<Shared>) {
    let target = SocketAddr::from(([127, 0, 0, 1], shared.state().target));
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let number = {
        let mut state = shared.state();
        state.kept.push(Vec::new());
        state.kept.len() - 1
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = commands(from_client, to_server, &shared, number) => {}
        () = answers(from_server, to_client, &shared) => {}
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
        let weather = {
            let mut state = shared.state();
            if (state.records || state.weather == Weather::KeptBack)
                && let Some(kept) = state.kept.get_mut(number)
            {
                kept.extend_from_slice(&bytes[..count]);
            }
            state.weather
        };
        match weather {
            Weather::Swallowed | Weather::KeptBack => continue,
            Weather::Slow(delay) => sleep(delay).await,
            Weather::Fair | Weather::CutInAnswers => {}
        }
        if server.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, shared: &Shared) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = server.read(&mut bytes).await {
        let weather = shared.state().weather;
        let part = match weather {
            Weather::Swallowed => continue,
            Weather::CutInAnswers => &bytes[..count.div_ceil(2)],
            _ => &bytes[..count],
        };
        if client.write_all(part).await.is_err() || weather == Weather::CutInAnswers {
            return;
        }
    }
}

/// Sends bytes to a server on connections of their own, and waits until it has read them: what a
/// network can do with what it has held back.
///
/// # Panics
///
/// When the server does not take them.
pub async fn deliver(port: u16, streams: &[Vec<u8>]) {
    for stream in streams.iter().filter(|stream| !stream.is_empty()) {
        let server = TcpStream::connect(("127.0.0.1", port)).await;
        let (mut answers, mut commands) = server.expect("it listens").into_split();
        let reader = tokio::spawn(async move {
            let mut sink = Vec::new();
            drop(answers.read_to_end(&mut sink).await);
        });
        commands.write_all(stream).await.expect("it reads");
        // Half a command may stand at the end. The server closes when it has read all before it.
        commands.shutdown().await.expect("it is open");
        reader.await.expect("it ends");
    }
}
