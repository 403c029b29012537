//! The ids of tower-sessions: sixteen bytes, written as 22 characters of base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The length of a written id.
pub(super) const LEN: usize = 22;

/// Reads an id: what is not written as tower-sessions writes it is none.
pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != LEN {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Writes an id, if it is one. The text is also the key of its record.
pub(super) fn encode(id: &[u8]) -> Option<String> {
    (id.len() == 16).then(|| URL_SAFE_NO_PAD.encode(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_not_else() {
        let text = "ym_E7kU3pmZtCkc1hePo1Q";
        assert_eq!(encode(&parse(text).unwrap()).as_deref(), Some(text));
        for other in [
            "",
            "ym_E7kU3pmZtCkc1hePo1",
            "ym_E7kU3pmZtCkc1hePo1Q=",
            "ym_E7kU3pmZtCkc1hePo1R",
            "ym/E7kU3pmZtCkc1hePo1Q",
            "ym_E7kU3pmZtCkc1hePo1QA",
            "../../../../etc/passwd",
            "ünïcödeünïcöde",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(encode(b"short"), None);
    }
}
