//! axum-login's typical app (sign in, a protected page, sign out) with axum-messages, on Cloakroom.
//! The handlers use axum-login and axum-messages only; Cloakroom is set up in `main`.

mod users;

use std::{collections::HashMap, env, error::Error};

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use axum_login::{AuthManager, AuthSession, login_required};
use axum_messages::{Messages, MessagesManagerLayer};
use cloakroom::{Expiry, SessionLayer, UserId, hours, minutes};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::v0_14::BridgeLayer;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::layer::layer_fn;

use self::users::{Credentials, Users};

type Auth = AuthSession<Users>;

/// The key of axum-login's entry in the session.
const DATA_KEY: &str = "axum-login.data";

async fn protected(auth: Auth, messages: Messages) -> Html<String> {
    let who = auth.user.map(|user| user.name).unwrap_or_default();
    let form = "<form method=post action=/logout><button>Sign out</button></form>";
    Html(format!(
        "{}<p>Hello, {}.</p>{form}",
        render(messages),
        escape(&who)
    ))
}

async fn sign_in_page(messages: Messages) -> Html<String> {
    let form = "<form method=post><label>Name <input name=name></label> \
                <label>Password <input name=password type=password></label> \
                <button>Sign in</button></form><p>Any name, with the password \"password\"</p>";
    Html(format!("{}{form}", render(messages)))
}

async fn sign_in(mut auth: Auth, messages: Messages, Form(given): Form<Credentials>) -> Response {
    let user = match auth.authenticate(given).await {
        Ok(Some(user)) => user,
        Ok(None) => {
            messages.error("Wrong password.");
            return Redirect::to("/login").into_response();
        }
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    match auth.login(&user).await {
        Ok(()) => {
            messages.success("You are signed in.");
            Redirect::to("/").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn sign_out(mut auth: Auth) -> Response {
    match auth.logout().await {
        Ok(_) => Redirect::to("/login").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Finds axum-login's user in the session's data, so that Cloakroom knows who is signed in.
fn user_of(data: &HashMap<String, Value>) -> Option<UserId> {
    let id = data.get(DATA_KEY)?.get("user_id")?;
    Some(id.as_str()?.into())
}

fn render(messages: Messages) -> String {
    let messages = messages.into_iter();
    messages
        .map(|message| format!("<p>{}</p>", escape(&message.message)))
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1".into());
    let sessions = SessionLayer::builder(RedisStore::connect(redis, "axum-login-example").await?)
        .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
        .build()?;

    let app = Router::new()
        .route("/", get(protected))
        .route_layer(login_required!(Users, login_url = "/login"))
        .route("/login", get(sign_in_page).post(sign_in))
        .route("/logout", post(sign_out))
        // From the inside out: authentication, messages, the tower-sessions bridge, sessions.
        .layer(layer_fn(|inner| AuthManager::new(inner, Users, DATA_KEY)))
        .layer(MessagesManagerLayer)
        .layer(BridgeLayer::new().with_user(user_of))
        .layer(sessions);

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3000".into());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
