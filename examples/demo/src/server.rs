//! Listening, serving, and closing in peace.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

/// How long requests under way may take after the app was told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens, or says why not.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program: choose another port with --listen")
        }
        _ => format!("cannot listen on {address}: {error}"),
    })
}

/// What to open in a browser.
pub(crate) fn url(listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        return Ok(format!("http://localhost:{}", address.port()));
    }
    Ok(format!("http://{address}"))
}

/// Serves until Ctrl-C or SIGTERM. Requests under way are finished, within reason;
/// `closing` tells those that would go on for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    closing: watch::Sender<bool>,
) -> io::Result<()> {
    let mut closed = closing.subscribe();
    let told_to_stop = told_to_stop()?;
    let stop = async move {
        told_to_stop.await;
        info!("closing");
        closing.send_replace(true);
    };
    let out_of_patience = async {
        drop(closed.wait_for(|closing| *closing).await);
        sleep(PATIENCE).await;
    };
    // Who asks is told by the connection.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(stop) => served,
        () = out_of_patience => {
            warn!("requests were still under way");
            Ok(())
        }
    }
}

/// Ctrl-C, or SIGTERM. From the call on they are waited for: a signal that comes before the future is
/// first polled does not kill the app.
#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
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

/// Ctrl-C.
#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
