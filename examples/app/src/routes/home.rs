//! The shop: guests and users have a cart in their session.

use axum::extract::{Form, State};
use axum::response::{Redirect, Response};
use cloakroom::{Key, Session, SessionError};
use maud::html;
use serde::Deserialize;

use crate::app::App;
use crate::database::Cart;
use crate::errors::AppError;
use crate::page::Page;

/// The cart of the visitor.
pub(crate) const CART: Key<Cart> = Key::new("cart");

const PRODUCTS: [&str; 3] = ["Beret", "Bowler", "Fedora"];

pub(crate) async fn show(page: Page) -> Result<Response, AppError> {
    let cart = page.session.get(CART)?.unwrap_or_default();
    let body = html! {
        h1 {
            @match &page.user {
                Some(user) => { "Hello, " (user.name) "." },
                None => { "Hats for everybody" },
            }
        }
        ul.list {
            @for product in PRODUCTS {
                li {
                    span { (product) }
                    form method="post" action="/cart" {
                        button name="product" value=(product) { "Add to cart" }
                    }
                }
            }
        }
        h2 { "Your cart" }
        ul.list #cart {
            @for (product, count) in &cart { li { (product) " \u{d7} " (count) } }
            @if cart.is_empty() { li { "Nothing yet." } }
        }
    };
    page.show("Hats", body).await
}

#[derive(Deserialize)]
pub(crate) struct Item {
    product: String,
}

/// The closure runs again on a fresher session, if another tab adds something at the same time.
pub(crate) async fn add(
    session: Session,
    Form(item): Form<Item>,
) -> Result<Redirect, SessionError> {
    let product = PRODUCTS.iter().find(|product| **product == item.product);
    if let Some(product) = product {
        session.update(CART, |cart| {
            let mut cart = cart.unwrap_or_default();
            let count = cart.entry((*product).to_owned()).or_default();
            *count = count.saturating_add(1);
            cart
        })?;
    }
    Ok(Redirect::to("/"))
}

/// Shows how many queries the cache has saved on this server.
pub(crate) async fn numbers(State(app): State<App>) -> String {
    let stats = app.users.stats();
    format!(
        "records from memory: {}\nrecords from the shared cache: {}\nqueries: {}\n",
        stats.copies,
        stats.shared,
        app.database.queries()
    )
}
