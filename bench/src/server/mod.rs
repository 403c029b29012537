//! One subject as a server.
//!
//! All have the same routes and do the same in them, each in the way that its documentation shows.
//! A server tells its port on the standard output, takes orders on the standard input, and ends when
//! that ends, so that it never outlives who started it.

mod actix;
mod axum_session;
mod cloakroom;
mod entries;
mod floor;
mod gate;
mod near;
mod tower_sessions;

use std::io::{self, BufRead, Write};
use std::process;
use std::thread;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use http::StatusCode;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use self::axum_session::Cache;
use self::floor::Packets;
use crate::args::Setup;
use crate::subject::Subject;
use crate::{Memory, Problem};

pub(crate) fn run(setup: Setup, memory: fn() -> Memory) -> Result<(), Problem> {
    thread::spawn(move || obey(memory));
    if setup.subject == Subject::ActixSession {
        return actix::run(setup);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // Spawned, so that all of it is on the one worker.
    runtime.block_on(async move { tokio::spawn(serve(setup)).await? })
}

async fn serve(setup: Setup) -> Result<(), Problem> {
    let app = match setup.subject {
        Subject::Floor => floor::app(setup, Packets::Wait).await?,
        Subject::FloorNodelay => floor::app(setup, Packets::Leave).await?,
        Subject::FloorLayered => floor::layered(setup).await?,
        Subject::Cloakroom => cloakroom::app(setup).await?,
        Subject::CloakroomTouching => cloakroom::touching(setup).await?,
        Subject::CloakroomNear => near::app(setup).await?,
        Subject::TowerSessions => tower_sessions::app(setup).await?,
        Subject::AxumSession => axum_session::app(setup, Cache::On).await?,
        Subject::AxumSessionUncached => axum_session::app(setup, Cache::Off).await?,
        Subject::ActixSession | Subject::ExpressSession => {
            return Err("it has a runtime of its own".into());
        }
    };
    listen(app).await
}

async fn listen(app: Router) -> Result<(), Problem> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    // Many connections come at once; one that finds no room would wait for seconds, or for ever.
    let listener = socket.listen(4096)?;
    tell(listener.local_addr()?.port())?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

fn tell(line: impl std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Carries out what the driver says, and ends the process when it is gone.
fn obey(memory: fn() -> Memory) {
    for order in io::stdin().lock().lines().map_while(Result::ok) {
        let told = match order.as_str() {
            "memory" => {
                let Memory { live, allocations } = memory();
                tell(format_args!("{live} {allocations}"))
            }
            "held" => tell(gate::held()),
            "open" => {
                gate::open();
                tell("open")
            }
            other => tell(format_args!("what is {other}?")),
        };
        if told.is_err() {
            break;
        }
    }
    #[expect(clippy::exit, reason = "nobody is there to serve")]
    process::exit(0)
}

/// The answer when a handler failed. None should.
struct Failed(Problem);

impl<E: Into<Problem>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
