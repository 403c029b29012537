//! The formats of a record, and the parts of a head that a store needs by themselves.

use std::ops::Range;

use super::digits::{BASE64, HEX};
use crate::clock::Timestamp;
use crate::id::Revision;
use crate::record::Record;

/// The format in which a record is written. Both are read, whichever is written.
///
/// Releases before format 2 do not read it. So a rolling deployment from such a release must not write it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// A head of 105 bytes, which all releases read. The default.
    #[default]
    V1,
    /// A head of 53 bytes; up to 19 more if the idle timeout is not one day, or was chosen for the session.
    V2,
}

impl RecordFormat {
    /// Returns the first bytes of a record.
    #[must_use]
    pub const fn magic(self) -> &'static str {
        match self {
            Self::V1 => "c1 ",
            Self::V2 => "c2 ",
        }
    }

    /// Returns the position of a record's revision. What precedes it is the [magic](Self::magic).
    #[must_use]
    pub const fn revision(self) -> Range<usize> {
        match self {
            Self::V1 => 3..19,
            Self::V2 => 3..14,
        }
    }

    /// Returns the position of a record's last-seen. It is text of a fixed length ([`encode_time_as`]).
    #[must_use]
    pub const fn last_seen(self) -> Range<usize> {
        match self {
            Self::V1 => 20..32,
            Self::V2 => 14..22,
        }
    }

    /// Returns the position of the digest of a record's secret: 43 characters, or the first 22 of them.
    #[must_use]
    pub const fn digest(self) -> Range<usize> {
        match self {
            Self::V1 => 61..104,
            Self::V2 => 30..52,
        }
    }

    /// Returns the format in which this record can be written: format 1 needs the whole digest.
    pub(super) const fn of(self, record: &Record) -> Self {
        if record.digest().is_short() {
            Self::V2
        } else {
            self
        }
    }
}

/// Appends the first bytes of every record with this revision in this format to `out`. No other value begins with
/// them.
pub fn encode_head_start_as(revision: Revision, format: RecordFormat, out: &mut String) {
    let (bits, width) = (revision.to_bits(), format.revision().len());
    out.push_str(format.magic());
    match format {
        RecordFormat::V1 => {
            HEX.write(out, bits, width);
            out.push(' ');
        }
        RecordFormat::V2 => BASE64.write(out, bits, width),
    }
}

/// Encodes a time, as a record holds it in this format.
#[must_use]
pub fn encode_time_as(time: Timestamp, format: RecordFormat) -> String {
    let width = format.last_seen().len();
    let digits = match format {
        RecordFormat::V1 => HEX,
        RecordFormat::V2 => BASE64,
    };
    let mut out = String::with_capacity(width);
    digits.write(&mut out, time.as_millis(), width);
    out
}
