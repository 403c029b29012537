//! Who is measured, and on which routes.

use clap::ValueEnum;

/// A server that keeps sessions in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Subject {
    /// axum with fred by hand, without a middleware.
    Floor,
    /// The same with `TCP_NODELAY` on the connection to Redis, as Cloakroom has it.
    FloorNodelay,
    /// The same as the floor, in a layer that does nothing.
    FloorLayered,
    /// Cloakroom as it is out of the box.
    Cloakroom,
    /// Cloakroom, if every read came so late that the session's use must be written down.
    CloakroomTouching,
    /// Cloakroom with its near cache.
    CloakroomNear,
    /// tower-sessions with its fred store.
    TowerSessions,
    /// `axum_session` with its Redis pool, answering from memory.
    AxumSession,
    /// The same without its memory cache.
    AxumSessionUncached,
    /// actix-session, on actix-web.
    ActixSession,
    /// express-session with connect-redis, on Node.
    ExpressSession,
}

impl Subject {
    /// Its name on the command line, and in what is written for programs.
    pub(crate) fn name(self) -> String {
        name(&self)
    }

    /// Whether it stands for something on this route.
    pub(crate) fn has(self, route: Route) -> bool {
        match self {
            // What axum itself does for a layer is the same on all routes.
            Self::FloorLayered => route == Route::None,
            Self::CloakroomTouching => route == Route::Rolling,
            _ => true,
        }
    }

    /// Whether it is measured how its cost grows.
    pub(crate) fn grows(self) -> bool {
        matches!(self, Self::Floor | Self::Cloakroom | Self::CloakroomNear)
    }

    /// Whether every read writes down that the session was used. Others do so now and then, or, as
    /// `axum_session` from its memory, every ten seconds.
    pub(crate) fn rolls_at_once(self) -> bool {
        !matches!(
            self,
            Self::Cloakroom | Self::CloakroomNear | Self::AxumSession
        )
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor: fred by hand",
            Self::FloorNodelay => "floor, with TCP_NODELAY",
            Self::FloorLayered => "floor, in a layer that does nothing",
            Self::Cloakroom => "**Cloakroom**",
            Self::CloakroomTouching => "Cloakroom, a touch at every read",
            Self::CloakroomNear => "**Cloakroom, near cache**",
            Self::TowerSessions => "tower-sessions 0.14",
            Self::AxumSession => "axum_session 0.22, cache on",
            Self::AxumSessionUncached => "axum_session 0.22, cache off",
            Self::ActixSession => "actix-session 0.11",
            Self::ExpressSession => "express-session 1.19",
        }
    }

    /// The same without emphasis.
    pub(crate) fn plain_title(self) -> String {
        self.title().replace('*', "")
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Route {
    /// Has a session, and does not use it.
    None,
    /// Reads two entries.
    Read,
    /// Reads two entries, and the session lives on from now.
    Rolling,
    /// Reads an entry, and changes it.
    Write,
    /// Comes without a session, and signs in with a new one.
    SignIn,
}

impl Route {
    /// Its name on the command line, and in what is written for programs.
    pub(crate) fn name(self) -> String {
        name(&self)
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::None => "/none",
            Self::Read => "/read",
            Self::Rolling => "/rolling",
            Self::Write => "/write",
            Self::SignIn => "/sign-in",
        }
    }

    /// Its name for people.
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

fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
