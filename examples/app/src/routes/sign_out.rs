//! Sign-out: the cart is kept for the next sign-in.

use axum::extract::State;
use axum::response::Redirect;
use cloakroom::Session;

use super::home::CART;
use crate::app::App;
use crate::csrf_form::{CsrfForm, NoFields};
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};

pub(crate) async fn sign_out(
    session: Session,
    State(app): State<App>,
    _: CsrfForm<NoFields>,
) -> Result<Redirect, AppError> {
    // Somebody who acts as the user does not change the user's cart.
    if session.impersonator().is_none()
        && let Some(cart) = session.get(CART)?
    {
        app.database
            .save_cart(session.require_user_id()?, &cart)
            .await?;
    }
    session.sign_out().await?;
    // In a new, anonymous session.
    session.flash(NOTICES, Notice::SignedOut)?;
    Ok(Redirect::to("/"))
}
