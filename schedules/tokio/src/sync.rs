//! The channels and locks of tokio itself. They need no runtime: each operation is one step.

pub use tokio_original::sync::*;
