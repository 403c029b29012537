//! What must hold for any bytes, tried on many: the short and stable part of `scripts/fuzz`.

use proptest::prelude::*;
use tests::fuzz;

/// Seeds, with some bytes replaced, put in or cut off.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    let edits = prop::collection::vec(edit, 0..6);
    let seed = prop::sample::select(fuzz::seeds());
    let mutated = (seed, edits).prop_map(|(mut bytes, edits)| {
        for (place, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match how {
                0 => bytes.insert(place, byte),
                1 => drop(bytes.remove(place)),
                2 => bytes.truncate(place),
                _ => bytes[place] = byte,
            }
        }
        bytes
    });
    prop_oneof![4 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

/// As many as the environment asks for, but no fewer than these.
fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig::with_cases(asked.cases.max(4000))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_token_is_one_text(bytes in bytes()) {
        fuzz::token(&bytes);
    }

    #[test]
    fn a_record_is_read_or_refused(bytes in bytes()) {
        fuzz::record(&bytes);
    }

    #[test]
    fn a_header_opens_nothing_but_what_it_holds(bytes in bytes()) {
        fuzz::cookie_header(&bytes);
    }
}
