//! Who is measured, and on which routes.

use clap::ValueEnum;

/// A server that keeps sessions in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Subject {
    /// axum with fred by hand, without a middleware.
    Floor,
    /// Cloakroom as it is out of the box.
    Cloakroom,
    /// tower-sessions with its fred store.
    TowerSessions,
}

impl Subject {
    /// Its name on the command line, and in what is written for programs.
    pub(crate) fn name(self) -> String {
        name(&self)
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor: axum, fred by hand",
            Self::Cloakroom => "Cloakroom",
            Self::TowerSessions => "tower-sessions 0.14",
        }
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
