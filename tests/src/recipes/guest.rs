//! A guest with a cart registers or signs in. `docs/recipes.md` quotes it.

use std::collections::BTreeMap;
use std::mem;
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

/// A known user may have left a cart behind on another device: the two are merged, in one of several sign-ins at once.
async fn sign_in(
    session: Session,
    State(carts): State<Carts>,
    Form(form): Form<Registration>,
) -> Result<Redirect, SessionError> {
    // … after the password was checked:
    session.sign_in(form.user.clone()).await?;
    // In a database: `DELETE … RETURNING`, in a transaction that is committed once the cart is in the session.
    if let Some(taken) = take_cart(&carts, form.user) {
        let saved = taken.cart.clone();
        let merge = move |cart: Option<Cart>| merged(cart.unwrap_or_default(), &saved);
        session.update_now(CART, merge).await?;
        taken.commit();
    }
    Ok(Redirect::to("/cart"))
}

fn merged(mut cart: Cart, saved: &Cart) -> Cart {
    for (product, count) in saved {
        *cart.entry(product.clone()).or_default() += count;
    }
    cart
}

/// A cart that is out of the table, as in a transaction: dropped without a commit, it is there again.
struct TakenCart {
    user: String,
    cart: Cart,
    carts: Carts,
    is_committed: bool,
}

impl TakenCart {
    fn commit(mut self) {
        self.is_committed = true;
    }
}

impl Drop for TakenCart {
    fn drop(&mut self) {
        if !self.is_committed {
            let mut carts = self.carts.lock().unwrap_or_else(PoisonError::into_inner);
            let (user, cart) = (mem::take(&mut self.user), mem::take(&mut self.cart));
            carts.insert(user, cart);
        }
    }
}

fn take_cart(carts: &Carts, user: String) -> Option<TakenCart> {
    let mut table = carts.lock().unwrap_or_else(PoisonError::into_inner);
    let cart = table.remove(&user)?;
    Some(TakenCart {
        user,
        cart,
        carts: Arc::clone(carts),
        is_committed: false,
    })
}

/// The routes.
pub fn routes(carts: Carts) -> Router {
    Router::new()
        .route("/cart", post(add))
        .route("/register", post(register))
        .route("/sign-in", post(sign_in))
        .with_state(carts)
}
