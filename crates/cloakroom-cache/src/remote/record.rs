//! Records, leases, and the replies to reads.

use std::time::Duration;

use bytes::Bytes;

use crate::hash::KeyHash;

/// What a read has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A value that is fresh for so long.
    Valid(Bytes, Duration),
    /// A value that is stale, and usable for so long. With `true`, the caller has the lease to load it.
    Stale(Bytes, Duration, bool),
    /// Nothing, and the caller has the lease.
    Leased,
    /// Nothing, and somebody else has the lease, for so long.
    Wait(Duration),
}

/// What a read takes for missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What is missing.
    Normal,
    /// Any value: the caller cannot use it.
    IgnoreValue,
    /// Any value, and any lease of others: the record has to be loaded from now on. Others use the value meanwhile.
    TakeLease,
}

/// A record as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The JSON of the value; empty if there is none.
    pub(crate) json: String,
    /// The generation in which its load began.
    pub(crate) generation: u64,
    /// For how long it is fresh, and then stale, in milliseconds.
    pub(crate) fresh_ms: u64,
    pub(crate) stale_ms: u64,
}

/// What becomes of a record whose load has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill<'a> {
    Store(&'a Stored),
    /// There is nothing to store, and what is stored is not current.
    Remove,
    /// The load has failed: what is stored remains. A stale value keeps the lease until that ends, so that the load is
    /// not tried again at once.
    GiveBack,
}

/// A request for a lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// A unique token.
    pub(crate) token: String,
    pub(crate) ttl: Duration,
}

/// A change that a server has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Changed(KeyHash),
    /// Everything has changed, or notices may have been missed.
    AllChanged,
}
