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
    let stop = async move {
        told_to_stop().await;
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

/// Waits for Ctrl-C, or for SIGTERM where there is one.
async fn told_to_stop() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = ctrl_c => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
