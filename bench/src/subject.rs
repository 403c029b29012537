//! What is measured, and on which routes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server that keeps sessions in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// axum that calls fred itself, without a middleware.
    Baseline,
    /// The baseline with `TCP_NODELAY` on the connection to Redis, as Cloakroom has it.
    BaselineNodelay,
    /// The baseline in a layer that does nothing.
    BaselineLayered,
    /// Cloakroom with its defaults.
    Cloakroom,
    /// Cloakroom when every read is late enough to record that the session was used.
    CloakroomTouching,
    /// Cloakroom with its near cache.
    CloakroomNear,
    /// The baseline, written with redis-rs. An experiment.
    BaselineRedisRs,
    /// Cloakroom with `SET … IFEQ` in place of its script for updates. An experiment.
    CloakroomIfeq,
    /// Cloakroom with its commands through redis-rs, each by itself. An experiment.
    CloakroomRedisRs,
    /// The same with `SET … IFEQ`. An experiment.
    CloakroomRedisRsIfeq,
    /// tower-sessions with its fred store.
    TowerSessions,
    /// `axum_session` with its Redis pool, reading from its memory cache.
    AxumSession,
    /// `axum_session` without its memory cache.
    AxumSessionUncached,
    /// actix-session, on actix-web.
    ActixSession,
    /// express-session with connect-redis, on Node.
    ExpressSession,
}

impl Subject {
    /// Its name on the command line and in JSON.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it is measured on this route.
    pub(crate) fn has(self, route: Route) -> bool {
        match self {
            // What axum itself does for a layer is the same on all routes.
            Self::BaselineLayered => route == Route::None,
            Self::CloakroomTouching => route == Route::Rolling,
            _ => true,
        }
    }

    /// Whether it is only measured if it is named: a way that was tried.
    pub(crate) fn is_experiment(self) -> bool {
        matches!(
            self,
            Self::BaselineRedisRs
                | Self::CloakroomIfeq
                | Self::CloakroomRedisRs
                | Self::CloakroomRedisRsIfeq
        )
    }

    /// Whether it can keep its sessions in a Redis Cluster, as it is set up here.
    pub(crate) fn has_cluster(self) -> bool {
        matches!(
            self,
            Self::Baseline
                | Self::BaselineNodelay
                | Self::BaselineLayered
                | Self::Cloakroom
                | Self::CloakroomTouching
                | Self::CloakroomNear
                | Self::TowerSessions
        ) || self.is_experiment()
    }

    /// Whether the growth of its cost is measured.
    pub(crate) fn grows(self) -> bool {
        matches!(self, Self::Baseline | Self::Cloakroom | Self::CloakroomNear)
    }

    /// Whether every read extends the session's life in Redis. The others do so at intervals: Cloakroom
    /// after a tenth of the idle timeout, `axum_session` with its memory cache every ten seconds.
    pub(crate) fn extends_at_every_read(self) -> bool {
        !matches!(
            self,
            Self::Cloakroom
                | Self::CloakroomNear
                | Self::CloakroomIfeq
                | Self::CloakroomRedisRs
                | Self::CloakroomRedisRsIfeq
                | Self::AxumSession
        )
    }

    /// Its name in the tables, in Markdown.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Baseline => "baseline: fred by hand",
            Self::BaselineNodelay => "baseline, TCP_NODELAY",
            Self::BaselineLayered => "baseline, no-op layer",
            Self::Cloakroom => "**Cloakroom**",
            Self::CloakroomTouching => "Cloakroom, touch every read",
            Self::CloakroomNear => "**Cloakroom, near cache**",
            Self::BaselineRedisRs => "baseline, redis-rs",
            Self::CloakroomIfeq => "Cloakroom, `IFEQ`",
            Self::CloakroomRedisRs => "Cloakroom, redis-rs",
            Self::CloakroomRedisRsIfeq => "Cloakroom, redis-rs, `IFEQ`",
            Self::TowerSessions => "tower-sessions 0.14",
            Self::AxumSession => "axum_session 0.22, cache on",
            Self::AxumSessionUncached => "axum_session 0.22, cache off",
            Self::ActixSession => "actix-session 0.11",
            Self::ExpressSession => "express-session 1.19",
        }
    }

    /// Its name in the plots.
    pub(crate) fn plain_title(self) -> String {
        self.title().replace('*', "")
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Route {
    /// Has a session, and does not use it.
    None,
    /// Reads two entries.
    Read,
    /// Reads two entries, and extends the session's life.
    Rolling,
    /// Reads an entry, and changes it.
    Write,
    /// Has no session, and signs in with a new one.
    SignIn,
}

impl Route {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::None => "/none",
            Self::Read => "/read",
            Self::Rolling => "/rolling",
            Self::Write => "/write",
            Self::SignIn => "/sign-in",
        }
    }

    /// Its name in the tables and plots.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::None => "not used",
            Self::Read => "read",
            Self::Rolling => "read, rolling",
            Self::Write => "write",
            Self::SignIn => "sign in",
        }
    }
}
