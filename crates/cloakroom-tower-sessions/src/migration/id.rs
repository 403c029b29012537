//! Session ids of tower-sessions: sixteen bytes, encoded as 22 characters of base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The length of an encoded id, in characters.
pub(super) const LEN: usize = 22;

/// Decodes an id; `None` if the text is not exactly what tower-sessions writes.
pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != LEN {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Encodes an id; `None` if it does not have sixteen bytes. The text is also the Redis key of the record.
pub(super) fn encode(id: &[u8]) -> Option<String> {
    (id.len() == 16).then(|| URL_SAFE_NO_PAD.encode(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_in_one_form_only() {
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
