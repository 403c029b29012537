//! The carts that users have left behind.

use std::collections::BTreeMap;

use super::Database;

/// How many of each product.
pub(crate) type Cart = BTreeMap<String, u32>;

impl Database {
    /// Returns the cart that a user has left behind.
    pub(crate) async fn cart(&self, user: i64) -> Result<Cart, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT cart FROM carts WHERE user = ?").bind(user);
        let json: Option<String> = query.fetch_optional(&self.pool).await?;
        let cart = json.and_then(|json| serde_json::from_str(&json).ok());
        Ok(cart.unwrap_or_default())
    }

    /// Stores the cart of a user who signs out.
    pub(crate) async fn save_cart(&self, user: i64, cart: &Cart) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO carts (user, cart) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET cart = excluded.cart";
        let json = serde_json::to_string(cart).expect("a cart is always JSON");
        let insert = sqlx::query(insert).bind(user).bind(json);
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// Removes it, since the cart is in a session again.
    pub(crate) async fn remove_cart(&self, user: i64) -> Result<(), sqlx::Error> {
        let delete = sqlx::query("DELETE FROM carts WHERE user = ?").bind(user);
        delete.execute(&self.pool).await?;
        Ok(())
    }
}
