//! Listening, serving, and a graceful shutdown.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

/// How long requests in progress may take after shutdown began.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Binds the listener. The error is a message for the terminal.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is already in use: choose another port with --listen")
        }
        _ => format!("cannot listen on {address}: {error}"),
    })
}

/// Returns the URL to open in a browser.
pub(crate) fn url(listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        return Ok(format!("http://localhost:{}", address.port()));
    }
    Ok(format!("http://{address}"))
}

/// Serves until Ctrl-C or SIGTERM. Requests in progress get five seconds to finish; `closing` ends event
/// streams, which would not finish by themselves.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    closing: watch::Sender<bool>,
) -> io::Result<()> {
    let mut closed = closing.subscribe();
    let shutdown_signal = shutdown_signal()?;
    let stop = async move {
        shutdown_signal.await;
        info!("shutting down");
        closing.send_replace(true);
    };
    let timed_out = async {
        drop(closed.wait_for(|closing| *closing).await);
        sleep(SHUTDOWN_TIMEOUT).await;
    };
    // `ConnectInfo` has the peer address of the connection.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(stop) => served,
        () = timed_out => {
            warn!("shutdown timed out with requests in progress");
            Ok(())
        }
    }
}

/// Resolves on Ctrl-C or SIGTERM. The handlers are installed by the call, so a signal that arrives before
/// the future is first polled does not kill the app.
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
