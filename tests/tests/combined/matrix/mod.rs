//! A user's life with the features combined: every two settings of two features meet in some row.

mod covering;
mod life;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use self::covering::table;
use self::life::Life;

/// Every row, whatever fails in another.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_life_with_every_pair_of_features() {
    let mut failed = Vec::new();
    for (number, row) in table().into_iter().enumerate() {
        let life = AssertUnwindSafe(async {
            let mut life = Life::begin(row).await;
            life.run().await;
            life.wrong
        });
        match life.catch_unwind().await {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => failed.push(format!(
                "row {number}: {row:?}\n    {}",
                wrong.join("\n    ")
            )),
            Err(_) => failed.push(format!("row {number}: {row:?}\n    it panicked")),
        }
    }
    let failures = failed.join("\n");
    assert!(failed.is_empty(), "{} rows:\n{failures}", failed.len());
}
