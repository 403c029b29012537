//! Why a stored value cannot be decoded.

use std::error::Error;
use std::fmt;

/// The longest value that is decoded, in bytes: 1 MiB.
pub(super) const MAX_LEN: usize = 1 << 20;

pub(super) const INVALID_HEAD: CodecError = CodecError::Unreadable("its head is invalid");

/// A stored value that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// It is not in the format of this crate.
    Unreadable(&'static str),
    /// It has a format version that only a newer release of this crate reads. The data is intact: in a
    /// rolling deployment, the newer servers can read it.
    Newer(u8),
    /// It is longer than [`MAX_LEN`](super::MAX_LEN). The value is its length in bytes.
    TooLong(usize),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the record cannot be read: {why}"),
            Self::Newer(version) => write!(
                f,
                "the record has format version {version}, which this release does not read"
            ),
            Self::TooLong(length) => {
                write!(
                    f,
                    "the record has {length} bytes, and the limit is {MAX_LEN}"
                )
            }
        }
    }
}

impl Error for CodecError {}
