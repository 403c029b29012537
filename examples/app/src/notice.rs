//! Flash messages: shown once, on the page after a redirect.

use cloakroom::Key;
use serde::{Deserialize, Serialize};

/// The messages of the session.
pub(crate) const NOTICES: Key<Vec<Notice>> = Key::new("notices");

/// A message. What is shown is decided here: the session has no HTML, and a link cannot make one up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Notice {
    Registered { name: String },
    SignedIn { name: String, failures: u32 },
    SignedOut,
    Renamed { name: String },
    PasswordChanged { others: usize },
    DeviceSignedOut,
    OthersSignedOut { count: usize },
    UserSignedOut { count: usize },
    SecondFactorEnabled,
    CodeSent { to: String },
    EmailConfirmed { to: String },
    WrongCode,
    ActingStopped,
}

impl Notice {
    /// Whether it reports that something has failed.
    pub(crate) const fn is_error(&self) -> bool {
        matches!(self, Self::WrongCode)
    }

    /// The text, to be escaped as any text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Registered { name } => format!("Welcome, {name}."),
            Self::SignedIn { name, failures: 0 } => format!("You are signed in as {name}."),
            Self::SignedIn { name, failures } => format!(
                "You are signed in as {name}. Failed attempts since your last sign-in: {failures}."
            ),
            Self::SignedOut => "You have signed out.".to_owned(),
            Self::Renamed { name } => format!("Your name is {name} now."),
            Self::PasswordChanged { others } => {
                format!("Your password is changed. Other devices signed out: {others}.")
            }
            Self::DeviceSignedOut => "The device is signed out.".to_owned(),
            Self::OthersSignedOut { count } => format!("Other devices signed out: {count}."),
            Self::UserSignedOut { count } => format!("Sessions ended: {count}."),
            Self::SecondFactorEnabled => "Sign-ins need a code from now on.".to_owned(),
            Self::CodeSent { to } => {
                format!("We have sent a code to {to}. It is valid for ten minutes.")
            }
            Self::EmailConfirmed { to } => format!("Your address is {to} now."),
            Self::WrongCode => "The code is wrong or has expired. Request another one.".to_owned(),
            Self::ActingStopped => "You are yourself again.".to_owned(),
        }
    }
}
