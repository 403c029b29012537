//! The JSON after a record's head.

use super::error::CodecError;
use crate::entries::Entries;

/// Decodes the JSON after the head. White space before the object is not accepted.
pub(super) fn decode_entries(json: &str) -> Result<Entries, CodecError> {
    json.starts_with('{')
        .then(|| Entries::from_json(json).ok())
        .flatten()
        .ok_or(CodecError::Unreadable("its entries are not a JSON object"))
}
