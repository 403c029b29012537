//! The slots of a cluster, and session ids whose keys are in a given one.

use cloakroom_core::SessionId;
use fred::util::redis_keyslot;

/// The bits of an id that are not drawn when it is placed, by byte: five of its hexadecimal digits. They are not the bits of its
/// time, version and variant, and not its last digits, which others rely on being random. Of each digit, the highest bit is 0:
/// the digits 0 to 7 differ in their lowest three bits in a key as well.
const DIGITS: [(usize, u8); 3] = [(6, 0x0f), (7, 0xff), (10, 0xff)];
const HIGHEST: u8 = 0x88;

/// For each bit of a slot, from the lowest one: the bits of these digits, three of each, whose change changes that bit of the
/// slot and no other. A slot is a part of a CRC16 of the key, which is linear: what changes does not depend on the other
/// characters, only on how far from the end of the key the changed ones are.
const MASKS: [u16; 14] = [
    0x14dd, 0x48c8, 0x47c8, 0x3258, 0x777d, 0x4fe1, 0x318d, 0x4d5d, 0x62a5, 0x38a9, 0x7118, 0x5ff8,
    0x48f1, 0x7098,
];

/// The slot of a key.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}

/// Returns an id like `drawn`, whose key is in `slot`. `key` returns the key of an id, which ends with the id's text. Of the 74
/// random bits, 55 remain.
pub(crate) fn placed(drawn: SessionId, slot: u16, key: impl Fn(SessionId) -> String) -> SessionId {
    let mut bytes = *drawn.as_bytes();
    for (byte, digits) in DIGITS {
        bytes[byte] &= !(digits & HIGHEST);
    }
    let wrong = slot_of(&key(id_of(bytes))) ^ slot;
    let bits = MASKS.iter().enumerate();
    let changes = bits.filter(|(bit, _)| wrong >> bit & 1 == 1);
    let changes = changes.fold(0, |changes, (_, mask)| changes ^ mask);
    let digit = |place: u32| (changes >> (12 - 3 * place) & 7) as u8;
    bytes[6] ^= digit(0);
    bytes[7] ^= digit(1) << 4 | digit(2);
    bytes[10] ^= digit(3) << 4 | digit(4);
    id_of(bytes)
}

fn id_of(bytes: [u8; 16]) -> SessionId {
    SessionId::from_bytes(bytes).expect("version and variant are those of an id")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cloakroom_core::{Clock, SystemClock, SystemRng, Token};

    use super::*;

    fn drawn() -> SessionId {
        let token = Token::issue(SystemClock.now(), &SystemRng);
        token.expect("the system has randomness").id()
    }

    #[test]
    fn an_id_is_placed_in_any_slot() {
        for (slot, prefix) in (0..16_384).zip(["a", "cloakroom", "shop-2"].into_iter().cycle()) {
            let key = |id: SessionId| format!("{prefix}:{id}");
            let drawn = drawn();
            let placed = placed(drawn, slot, key);
            assert_eq!(slot_of(&key(placed)), slot);
            assert_eq!(placed.created_at(), drawn.created_at());
            let (before, after) = (drawn.as_bytes(), placed.as_bytes());
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                let digits = DIGITS.iter().find(|(byte, _)| *byte == place);
                let kept = !digits.map_or(0, |(_, digits)| *digits);
                assert_eq!(before & kept, after & kept, "byte {place} of {drawn}");
            }
        }
    }

    /// Five digits have 15 bits that may differ, and 14 of these determine the slot.
    #[test]
    fn ids_in_one_slot_are_different_and_stay_random() {
        let key = |id: SessionId| format!("cloakroom:{id}");
        let placed = std::iter::repeat_with(|| placed(drawn(), 7, key));
        let ids: HashSet<_> = placed.take(1000).collect();
        assert_eq!(ids.len(), 1000);
        for (byte, bits) in [
            (6, 0x07),
            (7, 0x77),
            (8, 0x3f),
            (9, 0xff),
            (10, 0x77),
            (11, 0xff),
            (15, 0xff),
        ] {
            let values = ids.iter().map(|id| id.as_bytes()[byte]);
            let set = values.clone().fold(0, |set, value| set | value);
            let clear = values.fold(0, |clear, value| clear | !value);
            assert_eq!(
                set & clear & bits,
                bits,
                "byte {byte}: each bit has both values"
            );
        }
    }
}
