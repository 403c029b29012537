//! The carts that users have left behind.

use std::collections::BTreeMap;

use sqlx::{Sqlite, Transaction};

use super::Database;

/// How many of each product.
pub(crate) type Cart = BTreeMap<String, u32>;

/// A cart that is being moved into a session. When this is dropped, also with a request that is cancelled, the cart is in the
/// database again.
pub(crate) struct TakenCart {
    pub(crate) cart: Cart,
    transaction: Transaction<'static, Sqlite>,
}

impl TakenCart {
    /// Removes the cart, once it is in the session. If that fails, the cart is in both: twice rather than not at all.
    pub(crate) async fn remove(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Database {
    /// Takes the cart that a user has left behind: of several sign-ins at once, one gets it. The others wait for its
    /// transaction.
    pub(crate) async fn take_cart(&self, user: i64) -> Result<Option<TakenCart>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let delete = sqlx::query_scalar("DELETE FROM carts WHERE user = ? RETURNING cart");
        let delete = delete.bind(user).fetch_optional(&mut *transaction);
        let json: Option<String> = delete.await?;
        let cart = json.and_then(|json| serde_json::from_str(&json).ok());
        Ok(cart.map(|cart| TakenCart { cart, transaction }))
    }

    /// Stores the cart of a user who signs out.
    pub(crate) async fn save_cart(&self, user: i64, cart: &Cart) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO carts (user, cart) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET cart = excluded.cart";
        let json = serde_json::to_string(cart).expect("a cart is always JSON");
        let insert = sqlx::query(insert).bind(user).bind(json);
        insert.execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_request_gets_the_cart_and_another_only_if_that_one_fails() {
        let database = Database::open(None).await.unwrap();
        let cart = Cart::from([("Beret".to_owned(), 2)]);
        database.save_cart(1, &cart).await.unwrap();

        let failing = database.take_cart(1).await.unwrap().unwrap();
        // They wait for the transaction.
        let mut first = Box::pin(database.take_cart(1));
        let mut second = Box::pin(database.take_cart(1));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(failing);
        let taken = first.await.unwrap().unwrap();
        assert_eq!(taken.cart, cart);
        taken.remove().await.unwrap();
        assert!(second.await.unwrap().is_none());
    }
}
