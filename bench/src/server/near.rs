//! Cloakroom with the near cache in front of the same store.

use axum::Router;
use cloakroom_redis::NearCache;

use super::cloakroom::{on, store};
use crate::Problem;
use crate::args::Setup;

pub(super) async fn app(setup: Setup) -> Result<Router, Problem> {
    on(NearCache::new(store(setup).await?), setup)
}
