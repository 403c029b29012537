//! Checks of the project itself: its documents, its layers, its public API and its names.

mod documents;
mod tree;
