//! A guest with a cart registers or signs in. `docs/recipes.md` quotes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Form, State};
use axum::response::Redirect;
use axum::routing::post;
use cloakroom::{Key, Session, SessionError};
use serde::Deserialize;

/// How many of each product.
type Cart = BTreeMap<String, u32>;

/// The cart of the visitor, guest or not.
const CART: Key<Cart> = Key::new("cart");

/// The carts that users have left behind: a table of the app's database.
pub type Carts = Arc<Mutex<BTreeMap<String, Cart>>>;

#[derive(Debug, Deserialize)]
struct Item {
    product: String,
}

async fn add(session: Session, Form(item): Form<Item>) -> Result<Redirect, SessionError> {
    session.update(CART, move |cart| {
        let mut cart = cart.unwrap_or_default();
        *cart.entry(item.product.clone()).or_default() += 1;
        cart
    })?;
    Ok(Redirect::to("/cart"))
}

#[derive(Debug, Deserialize)]
struct Registration {
    user: String,
}

/// A new user keeps the guest's cart: a sign-in carries the entries over when nobody was signed in before.
async fn register(
    session: Session,
    Form(form): Form<Registration>,
) -> Result<Redirect, SessionError> {
    // … after the user was stored in the database:
    session.sign_in(form.user).await?;
    Ok(Redirect::to("/cart"))
}

/// A known user may have left a cart behind on another device: the two are merged.
async fn sign_in(
    session: Session,
    State(carts): State<Carts>,
    Form(form): Form<Registration>,
) -> Result<Redirect, SessionError> {
    // … after the password was checked:
    let saved = saved_cart(&carts, &form.user);
    // If another user was signed in until now, this runs on a session without their entries.
    session.update(CART, move |cart| merged(cart.unwrap_or_default(), &saved))?;
    session.sign_in(form.user.clone()).await?;
    // Only now, so that nothing is lost if the sign-in fails.
    remove_saved_cart(&carts, &form.user);
    Ok(Redirect::to("/cart"))
}

fn merged(mut cart: Cart, saved: &Cart) -> Cart {
    for (product, count) in saved {
        *cart.entry(product.clone()).or_default() += count;
    }
    cart
}

fn saved_cart(carts: &Carts, user: &str) -> Cart {
    let carts = carts.lock().unwrap_or_else(PoisonError::into_inner);
    carts.get(user).cloned().unwrap_or_default()
}

fn remove_saved_cart(carts: &Carts, user: &str) {
    let mut carts = carts.lock().unwrap_or_else(PoisonError::into_inner);
    carts.remove(user);
}

/// The routes.
pub fn routes(carts: Carts) -> Router {
    Router::new()
        .route("/cart", post(add))
        .route("/register", post(register))
        .route("/sign-in", post(sign_in))
        .with_state(carts)
}
