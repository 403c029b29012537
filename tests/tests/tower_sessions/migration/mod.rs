//! Migrating live sessions of a real tower-sessions with its Redis store.

mod apps;
mod axum_login;
mod both_sides;
mod costs;
mod example;
mod failures;
mod parallel;
mod races;
mod rights;
mod users;
