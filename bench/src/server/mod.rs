//! One subject as a server.
//!
//! All have the same routes and do the same in them, each in the way that its documentation shows. A
//! server prints its port on the standard output and reads commands on the standard input. It ends when
//! the standard input does, so that it never outlives the process that started it.

mod actix;
mod axum_session;
mod baseline;
mod cloakroom;
mod common;
mod experiment;
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
use self::baseline::Nagle;
use self::experiment::{Client, Update};
use crate::args::{ServeArgs, Workers};
use crate::subject::Subject;
use crate::{BoxError, Memory};

pub(crate) fn run(args: ServeArgs, memory: fn() -> Memory) -> Result<(), BoxError> {
    thread::spawn(move || run_commands(memory));
    if args.subject == Subject::ActixSession {
        return actix::run(args);
    }
    let mut runtime = Builder::new_multi_thread();
    if args.setting.workers == Workers::One {
        runtime.worker_threads(1);
    }
    let runtime = runtime.enable_all().build()?;
    // Spawned, so that all work is done by worker threads.
    runtime.block_on(async move { tokio::spawn(serve(args)).await? })
}

async fn serve(args: ServeArgs) -> Result<(), BoxError> {
    let app = match args.subject {
        Subject::Baseline => baseline::app(args, Nagle::On).await?,
        Subject::BaselineNodelay => baseline::app(args, Nagle::Off).await?,
        Subject::BaselineLayered => baseline::layered(args).await?,
        Subject::Cloakroom => cloakroom::app(args).await?,
        Subject::CloakroomTouching => cloakroom::touching(args).await?,
        Subject::CloakroomNear => cloakroom::near(args).await?,
        Subject::TowerSessions => tower_sessions::app(args).await?,
        Subject::AxumSession => axum_session::app(args, Cache::On).await?,
        Subject::AxumSessionUncached => axum_session::app(args, Cache::Off).await?,
        Subject::BaselineRedisRs => experiment::floor(args).await?,
        Subject::CloakroomIfeq => experiment::cloakroom(args, Client::Fred, Update::Native).await?,
        Subject::CloakroomRedisRs => {
            experiment::cloakroom(args, Client::RedisRs, Update::Script).await?
        }
        Subject::CloakroomRedisRsIfeq => {
            experiment::cloakroom(args, Client::RedisRs, Update::Native).await?
        }
        Subject::ActixSession | Subject::ExpressSession => {
            return Err("it has a runtime of its own".into());
        }
    };
    listen(app).await
}

async fn listen(app: Router) -> Result<(), BoxError> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    // Many connections come at once; one that does not fit in the backlog would wait for seconds.
    let listener = socket.listen(4096)?;
    print_line(listener.local_addr()?.port())?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

fn print_line(line: impl std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Runs the commands of the driver, and ends the process when the driver has ended.
fn run_commands(memory: fn() -> Memory) {
    for command in io::stdin().lock().lines().map_while(Result::ok) {
        let printed = match command.as_str() {
            "memory" => {
                let Memory { live, allocations } = memory();
                print_line(format_args!("{live} {allocations}"))
            }
            "held" => print_line(common::held()),
            "release" => {
                common::release();
                print_line("released")
            }
            other => print_line(format_args!("unknown command: {other}")),
        };
        if printed.is_err() {
            break;
        }
    }
    #[expect(clippy::exit, reason = "the driver has ended")]
    process::exit(0)
}

/// The response when a handler failed, which none should.
struct Failed(BoxError);

impl<E: Into<BoxError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
