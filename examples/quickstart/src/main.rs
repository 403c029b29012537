//! Counts visits and signs users in, with sessions in Redis.

use std::{env, error::Error};

use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use cloakroom::{Expiry, Session, SessionError, SessionLayer, days, hours, minutes};
use cloakroom_redis::RedisStore;
use serde::Deserialize;
use tokio::net::TcpListener;

const FORMS: &str = r#"<!doctype html><title>Sign in</title>
<form method="post"><label>Name <input name="user" required></label>
<label><input type="checkbox" name="remember"> Remember me</label> <button>Sign in</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>"#;

#[derive(Deserialize)]
struct SignIn {
    user: String,
    remember: Option<String>,
}

async fn home(session: Session) -> Result<String, SessionError> {
    let visits = session.increment("visits", 1)?;
    let user: Option<String> = session.user_id()?;
    Ok(format!(
        "Visit {visits} of {}",
        user.as_deref().unwrap_or("a guest")
    ))
}

async fn sign_in(session: Session, Form(form): Form<SignIn>) -> Result<Redirect, SessionError> {
    // Check the password here.
    let remember_me = Expiry::idle(days(30)).absolute(days(90));
    match form.remember {
        Some(_) => session.sign_in(form.user).with_expiry(remember_me).await?,
        None => session.sign_in(form.user).await?,
    }
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<Redirect, SessionError> {
    session.sign_out().await?;
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init(); // shows when Redis is down, for instance

    let redis = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1".into());
    let sessions = SessionLayer::builder(RedisStore::connect(redis, "hits").await?)
        .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
        .build()?;
    let app = Router::new()
        .route("/", get(home))
        .route("/sign-in", get(Html(FORMS)).post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(sessions);

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3000".into());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
