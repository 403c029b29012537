//! actix-session, on actix-web instead of axum.

use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::error::ErrorNotFound;
use actix_web::rt::System;
use actix_web::web::{self, Data, Path};
use actix_web::{App, Error, HttpServer};

use super::common::{self, Entries, IDLE, page};
use super::print_line;
use crate::BoxError;
use crate::args::{ServeArgs, Workers};

pub(super) fn run(args: ServeArgs) -> Result<(), BoxError> {
    System::new().block_on(serve(args))
}

async fn serve(args: ServeArgs) -> Result<(), BoxError> {
    let store = RedisSessionStore::new(args.url()).await?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(args))
            .service(
                web::resource("/rolling")
                    .wrap(sessions(&store, TtlExtensionPolicy::OnEveryRequest))
                    .to(read),
            )
            .service(
                web::scope("")
                    .wrap(sessions(&store, TtlExtensionPolicy::OnStateChanges))
                    .route("/none", web::get().to(async || "none"))
                    .route("/read", web::get().to(read))
                    .route("/write", web::get().to(write))
                    .route("/sign-in", web::get().to(sign_in))
                    .route("/hold", web::get().to(hold))
                    .route("/race/edit/{key}/{millis}", web::get().to(race_edit))
                    .route("/race/renew/{key}", web::get().to(race_renew))
                    .route("/race/sign-in", web::get().to(race_sign_in))
                    .route("/race/sign-out", web::get().to(race_sign_out))
                    .route("/race/show", web::get().to(race_show)),
            )
    });
    let server = match args.setting.workers {
        Workers::One => server.workers(1),
        Workers::All => server,
    };
    let server = server.bind(("127.0.0.1", 0))?;
    print_line(server.addrs().first().ok_or("no address")?.port())?;
    Ok(server.run().await?)
}

fn sessions(
    store: &RedisSessionStore,
    policy: TtlExtensionPolicy,
) -> SessionMiddleware<RedisSessionStore> {
    let idle = Duration::seconds(i64::try_from(IDLE.as_secs()).unwrap_or(i64::MAX));
    let life = PersistentSession::default()
        .session_ttl(idle)
        .session_ttl_extension_policy(policy);
    // The same key in each process, as with several servers behind a load balancer.
    SessionMiddleware::builder(store.clone(), Key::from(&[7; 64]))
        .session_lifecycle(life)
        .build()
}

async fn read(session: Session) -> Result<String, Error> {
    let name: Option<String> = session.get("name")?;
    let name = name.ok_or_else(|| ErrorNotFound("no name"))?;
    let visits = session.get("visits")?;
    Ok(page(
        &name,
        visits.ok_or_else(|| ErrorNotFound("no visits"))?,
    ))
}

async fn write(session: Session) -> Result<String, Error> {
    let visits: Option<u64> = session.get("visits")?;
    let visits = visits.ok_or_else(|| ErrorNotFound("no visits"))? + 1;
    session.insert("visits", visits)?;
    let name: Option<String> = session.get("name")?;
    Ok(page(&name.ok_or_else(|| ErrorNotFound("no name"))?, visits))
}

async fn sign_in(args: Data<ServeArgs>, session: Session) -> Result<&'static str, Error> {
    let entries = Entries::new(*args.as_ref());
    session.renew();
    session.insert("user", entries.user)?;
    session.insert("name", entries.name)?;
    session.insert("roles", entries.roles)?;
    session.insert("theme", entries.theme)?;
    session.insert("visits", entries.visits)?;
    Ok("welcome")
}

async fn hold(session: Session) -> Result<String, Error> {
    let page = read(session).await;
    common::hold().await;
    page
}

async fn race_edit(path: Path<(String, u64)>, session: Session) -> Result<&'static str, Error> {
    let (key, millis) = path.into_inner();
    common::pause(millis).await;
    session.insert(key, 1)?;
    Ok("edited")
}

async fn race_renew(key: Path<String>, session: Session) -> Result<&'static str, Error> {
    session.renew();
    session.insert(key.into_inner(), 1)?;
    Ok("renewed")
}

async fn race_sign_in(session: Session) -> Result<&'static str, Error> {
    session.renew();
    session.insert("user", 1)?;
    Ok("welcome")
}

async fn race_sign_out(session: Session) -> &'static str {
    session.purge();
    "goodbye"
}

async fn race_show(session: Session) -> String {
    common::shown(session.contains_key("user"), |key| {
        session.contains_key(key)
    })
}
