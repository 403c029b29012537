//! A form with a CSRF token, which is checked before its handler runs.

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use cloakroom::{Session, SessionError, SessionRejection};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The fields of a form whose token is the session's.
pub(crate) struct CsrfForm<T>(pub(crate) T);

#[derive(Deserialize)]
struct WithToken<T> {
    // Absent counts as wrong.
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    fields: T,
}

/// A form without other fields.
#[derive(Deserialize)]
pub(crate) struct NoFields {}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for CsrfForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, state).await;
        let session = session.map_err(SessionRejection::into_response)?;
        let request = Request::from_parts(parts, body);
        let form = Form::<WithToken<T>>::from_request(request, state).await;
        let Form(form) = form.map_err(IntoResponse::into_response)?;
        session
            .check_csrf_token(&form.csrf)
            .await
            .map_err(SessionError::into_response)?;
        Ok(Self(form.fields))
    }
}
