//! The locks, and in place of `quick_cache::sync` a cache each use of which is a step: between the release of a lock and the
//! use of the cache, other tasks may run.

use std::hash::{BuildHasher, Hash};

use quick_cache_original::Weighter;
use quick_cache_original::sync::Cache as Original;
pub use quick_cache_original::sync::DefaultLifecycle;
use tokio::step;

pub use tokio::lock::*;

pub struct Cache<K, V, W, B>(Original<K, V, W, B>);

impl<K, V, W, B> Cache<K, V, W, B>
where
    K: Eq + Hash + Clone,
    V: Clone,
    W: Weighter<K, V> + Clone,
    B: BuildHasher + Clone,
{
    pub fn with(
        items: usize,
        weight: u64,
        weighter: W,
        hasher: B,
        lifecycle: DefaultLifecycle<K, V>,
    ) -> Self {
        Self(Original::with(items, weight, weighter, hasher, lifecycle))
    }

    pub fn get(&self, key: &K) -> Option<V> {
        step();
        self.0.get(key)
    }

    pub fn peek(&self, key: &K) -> Option<V> {
        step();
        self.0.peek(key)
    }

    pub fn insert(&self, key: K, value: V) {
        step();
        self.0.insert(key, value);
    }

    pub fn remove(&self, key: &K) -> Option<(K, V)> {
        step();
        self.0.remove(key)
    }

    pub fn clear(&self) {
        step();
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn weight(&self) -> u64 {
        self.0.weight()
    }
}
