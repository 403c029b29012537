//! The ways to have sessions that are compared: ours, ours under tower-sessions, and theirs.

use std::fmt;

use axum::Router;
use cloakroom_core::ManualClock;

use crate::setup::{Features, Storage, servers};
use crate::{app, v0_14, v0_15};

/// A way to have sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The native session.
    Native,
    /// tower-sessions' `Session` on our layer, which knows who is signed in.
    Bridge014,
    /// The same, with the next version.
    Bridge015,
    /// tower-sessions' `Session` on our layer, which does not know it.
    BareBridge,
    /// tower-sessions' layer on our store.
    Store014,
    /// The same, with the next version.
    Store015,
    /// tower-sessions' layer on their Redis store.
    Theirs,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Native,
        Self::Bridge014,
        Self::Bridge015,
        Self::BareBridge,
        Self::Store014,
        Self::Store015,
        Self::Theirs,
    ];

    /// Whether the app signs in with [`sign_in`](cloakroom::Session::sign_in).
    pub(crate) const fn is_native(self) -> bool {
        matches!(self, Self::Native)
    }

    /// Whether our layer knows who is signed in.
    pub(crate) const fn knows_users(self) -> bool {
        matches!(self, Self::Native | Self::Bridge014 | Self::Bridge015)
    }

    /// Whether the session and its cookie are ours.
    pub(crate) const fn is_our_layer(self) -> bool {
        self.knows_users() || matches!(self, Self::BareBridge)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::Bridge014 => "bridge 0.14",
            Self::Bridge015 => "bridge 0.15",
            Self::BareBridge => "bridge 0.14 without users",
            Self::Store014 => "our store, their layer 0.14",
            Self::Store015 => "our store, their layer 0.15",
            Self::Theirs => "tower-sessions 0.14 + fred store",
        })
    }
}

/// Two servers of one shop.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) apps: [Router; 2],
    pub(crate) storage: Storage,
}

impl Shop {
    pub(crate) async fn open(kind: Kind, storage: Storage) -> Self {
        let apps = apps(kind, &storage).await;
        Self { apps, storage }
    }

    pub(crate) async fn in_memory(kind: Kind) -> Self {
        Self::open(kind, Storage::memory(&ManualClock::default())).await
    }

    /// Forgets all sessions.
    pub(crate) async fn reset(&mut self, kind: Kind) {
        match self.storage.server() {
            Some(server) => drop(server.command(&["FLUSHALL"])),
            None => *self = Self::in_memory(kind).await,
        }
    }
}

async fn apps(kind: Kind, storage: &Storage) -> [Router; 2] {
    match kind {
        Kind::Native | Kind::Bridge014 | Kind::Bridge015 | Kind::BareBridge => {
            let clock = ManualClock::default();
            let servers = servers(storage, &clock, &Features::default()).await;
            servers.layers.map(|layer| match kind {
                Kind::Bridge014 => v0_14::app::bridged_with_users(v0_14::app::whole()).layer(layer),
                Kind::Bridge015 => v0_15::app::bridged_with_users(v0_15::app::whole()).layer(layer),
                Kind::BareBridge => v0_14::app::bridged(v0_14::app::whole()).layer(layer),
                _ => app::whole().layer(layer),
            })
        }
        Kind::Store014 | Kind::Store015 => [
            on_our_store(kind, storage).await,
            on_our_store(kind, storage).await,
        ],
        Kind::Theirs => {
            let url = storage.server().expect("their store is on Redis").url();
            let app = async || v0_14::on_their_store(v0_14::app::whole(), &url).await;
            [app().await, app().await]
        }
    }
}

async fn on_our_store(kind: Kind, storage: &Storage) -> Router {
    let is_014 = kind == Kind::Store014;
    match storage {
        Storage::Memory(store) if is_014 => {
            v0_14::app::on_store(v0_14::app::whole(), store.clone())
        }
        Storage::Memory(store) => v0_15::app::on_store(v0_15::app::whole(), store.clone()),
        _ if is_014 => v0_14::app::on_store(v0_14::app::whole(), storage.connect().await),
        _ => v0_15::app::on_store(v0_15::app::whole(), storage.connect().await),
    }
}
