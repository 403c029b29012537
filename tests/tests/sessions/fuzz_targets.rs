//! The fuzz targets of `scripts/fuzz`: on all inputs that it has found, and on random ones.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::fuzz::{self, seeds};
use tests::iterations::times;

/// Seeds with some bytes replaced, inserted, removed, or copied from another seed.
fn bytes(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<Vec<u8>> = seeds::of(target).into_iter().map(|seed| seed.1).collect();
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..5_u8);
    let edits = prop::collection::vec(edit, 0..6);
    let seed = || prop::sample::select(seeds.clone());
    let mutated = (seed(), seed(), edits).prop_map(|(mut bytes, other, edits)| {
        for (place, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match how {
                0 => bytes.insert(place, byte),
                1 => drop(bytes.remove(place)),
                2 => bytes.truncate(place),
                3 => bytes.extend([b";\n "[place % 3]].iter().chain(&other)),
                _ => bytes[place] = byte,
            }
        }
        bytes
    });
    prop_oneof![4 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

fn holds_for_many(target: &str, promise: fn(&[u8])) {
    for (_, input) in seeds::of(target)
        .into_iter()
        .chain(seeds::corpus_of(target))
    {
        promise(&input);
    }
    // At least this many cases, or more if the environment sets them.
    let asked = ProptestConfig::default();
    let config = ProptestConfig {
        cases: asked.cases.max(times(4000, 400_000)),
        failure_persistence: None,
        ..asked
    };
    let tried = TestRunner::new(config).run(&bytes(target), |bytes| {
        promise(&bytes);
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_token_has_one_textual_form() {
    holds_for_many("token", fuzz::token);
}

#[test]
fn any_bytes_decode_as_a_record_or_are_rejected() {
    holds_for_many("record", fuzz::record);
}

#[test]
fn a_cookie_header_authenticates_only_the_sessions_it_names() {
    holds_for_many("cookie_header", fuzz::cookie_header);
}

#[test]
fn a_client_cannot_forge_its_address() {
    holds_for_many("client_address", fuzz::client_address);
}

#[test]
fn a_local_path_leads_to_this_site() {
    holds_for_many("local_path", fuzz::local_path);
}

#[test]
fn any_message_decodes_as_an_event_or_is_ignored() {
    holds_for_many("event", fuzz::event);
}

/// The fuzzer cannot guess a token: without seeds, it would never authenticate a session.
#[test]
fn the_seeds_authenticate_the_session() {
    let open = [
        "Plain: plain",
        "Plain: several",
        "Signed: lines",
        "Signed: signed",
        "Encrypted: encrypted",
    ];
    assert_eq!(seeds::that_open(), open);
}
