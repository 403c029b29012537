//! Checks of the project itself: its documents, its layers, its public API and its names.

mod client_texts;
mod documents;
mod environment;
mod layers;
mod links;
mod names;
mod public_api;
mod servers;
mod sizing;
mod source;
mod tree;
