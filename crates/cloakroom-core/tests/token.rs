//! Tokens: what is issued, what is accepted, and what is never shown.

mod support;

use std::collections::HashSet;
use std::error::Error;
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloakroom_core::{
    Digest, Entries, Expiry, Limits, Realm, Record, Revision, Rng, RngError, SessionId, SystemRng,
    Timestamp, Token, codec,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(0x0191_e0c4_8f2a);

/// A token whose random bits are zero, with the bytes 0 to 15 as its secret.
const PLAIN: &str = "AZHgxI8qcACAAAAAAAAAAAABAgMEBQYHCAkKCwwNDg8";

fn issue(now: Timestamp) -> Token {
    Token::issue(now, &SystemRng).expect("the system has randomness")
}

fn plain() -> Token {
    Token::parse(PLAIN).expect("a token")
}

/// Returns a digest as it is encoded in a record.
fn text_of(digest: Digest) -> String {
    let limits = Limits::begin(Expiry::default(), NOW);
    let record = Record::new(Revision::from_bits(1), NOW, limits, digest, Entries::new());
    codec::encode(&record)[codec::HEAD_LEN - 44..codec::HEAD_LEN - 1].to_owned()
}

proptest! {
    #![proptest_config(support::config(support::regressions!("token")))]

    #[test]
    fn an_issued_token_parses(millis in 0..1_u64 << 48) {
        let now = Timestamp::from_millis(millis);
        let token = issue(now);
        let text = token.encode();
        prop_assert_eq!(text.len(), Token::ENCODED_LEN);
        let again = Token::parse(&text).expect("an encoded token");
        prop_assert_eq!(again.encode(), text);
        prop_assert_eq!(again.id(), token.id());
        prop_assert_eq!(token.id().created_at(), now);
        prop_assert_eq!(token.id().to_string().parse::<SessionId>(), Ok(token.id()));
    }

    #[test]
    fn text_that_parses_as_a_token_is_its_canonical_form(
        text in prop_oneof!["[A-Za-z0-9_-]{43}", "[ -~]{40,46}", ".{0,50}"],
    ) {
        if let Some(token) = Token::parse(&text) {
            prop_assert_eq!(token.encode(), text);
        }
    }

    #[test]
    fn digests_differ_between_realms(one: String, two: String) {
        let (digest, token) = (Realm::new(one.clone()).digest(&plain()), plain());
        prop_assert_eq!(digest == Realm::new(two.clone()).digest(&token), one == two);
        prop_assert!(digest == Realm::new(one).digest(&token));
    }

    #[test]
    fn ids_parse_in_one_form_only(text in "\\PC{0,60}") {
        if let Ok(id) = text.parse::<SessionId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn a_changed_character_gives_another_token_or_none() {
    let text = issue(NOW).encode();
    let mut last = 0;
    for index in 0..text.len() {
        let others = (0..=0xff_u8)
            .map(char::from)
            .chain(['\u{17f}', '\u{ff21}', '\u{212a}']);
        for other in others.filter(|other| !text[index..].starts_with(*other)) {
            let mut changed = text.clone();
            changed.replace_range(index..=index, other.encode_utf8(&mut [0; 4]));
            if let Some(token) = Token::parse(&changed) {
                assert_eq!(token.encode(), changed);
                assert_ne!(changed, text);
                last += usize::from(index == text.len() - 1);
            }
        }
    }
    // Two of the last character's six bits are unused, and must be zero.
    assert_eq!(last, 15);
}

#[test]
fn other_forms_of_a_token_are_refused() {
    assert!(Token::parse(PLAIN).is_some());
    let bytes = URL_SAFE_NO_PAD.decode(PLAIN).unwrap();
    let mut odd = bytes.clone();
    odd[16..].fill(0xfb);
    assert!(Token::parse(&URL_SAFE_NO_PAD.encode(&odd)).is_some());
    let forms = [
        String::new(),
        format!("{PLAIN}="),
        format!("{PLAIN}A"),
        format!("{PLAIN} "),
        format!(" {PLAIN}"),
        format!("\"{PLAIN}\""),
        PLAIN[..42].to_owned(),
        format!("{}=", &PLAIN[..42]),
        format!("{}9", &PLAIN[..42]),
        PLAIN.replace('g', "%67"),
        STANDARD.encode(&odd),
        STANDARD.encode(&odd).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(&bytes[..31]),
        URL_SAFE_NO_PAD.encode([&*bytes, &[0]].concat()),
    ];
    for form in forms {
        assert!(Token::parse(&form).is_none(), "{form:?}");
    }
}

#[test]
fn only_version_7_of_the_rfcs_variant_is_an_id() {
    let mut bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(PLAIN).unwrap().try_into().unwrap();
    for version in 0..16_u8 {
        for variant in 0..4_u8 {
            bytes[6] = version << 4;
            bytes[8] = variant << 6;
            let token = Token::parse(&URL_SAFE_NO_PAD.encode(bytes));
            assert_eq!(
                token.is_some(),
                version == 7 && variant == 2,
                "{version} {variant}"
            );
        }
    }
}

#[test]
fn ids_in_other_forms_are_refused() {
    let id = plain().id().to_string();
    assert_eq!(id, "0191e0c4-8f2a-7000-8000-000000000000");
    assert!(id.parse::<SessionId>().is_ok());
    for form in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id} "),
        format!("{id}\0"),
        id.replace("-7", "-4"),
        id.replace("-8000", "-0000"),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        String::new(),
    ] {
        assert!(form.parse::<SessionId>().is_err(), "{form:?}");
    }
}

#[test]
fn tokens_of_the_same_time_share_neither_id_nor_secret() {
    let tokens: Vec<_> = (0..1_000).map(|_| issue(NOW).encode()).collect();
    // The id ends within the 22nd character; the last 21 belong to the secret.
    let secrets: HashSet<_> = tokens.iter().map(|text| &text[22..]).collect();
    let ids: HashSet<_> = tokens.iter().map(|text| &text[..21]).collect();
    assert_eq!((secrets.len(), ids.len()), (1_000, 1_000));
}

/// A change of what is hashed would end all sessions.
#[test]
fn the_digest_is_frozen() {
    // SHA-256 of "cloakroom/1", 0, the realm's length in eight bytes, the realm, the secret.
    let digest = Realm::new("shop").digest(&plain());
    assert_eq!(
        text_of(digest),
        "lCQeJv2bLhRTdO2bwDeW7vgF0rcX_Z20WBFcN3RhEUQ"
    );
}

#[test]
fn a_realm_cannot_be_extended_into_another() {
    let names = [
        "",
        "\0",
        "a",
        "a\0",
        "aa",
        "a\u{1}",
        "\0\0\0\0\0\0\0\u{1}a",
        "a\0\u{1}\u{2}",
    ];
    let digests: HashSet<_> = names
        .iter()
        .map(|name| text_of(Realm::new(*name).digest(&plain())))
        .collect();
    assert_eq!(digests.len(), names.len());
}

#[test]
fn a_digest_depends_on_the_secret() {
    let realm = Realm::new("shop");
    assert!(realm.digest(&issue(NOW)) != realm.digest(&issue(NOW)));
}

#[test]
fn debug_shows_neither_secrets_nor_values() {
    let token = plain();
    let realm = Realm::new("shop");
    let mut entries = Entries::new();
    entries.set("name", "Erika").unwrap();
    let limits = Limits::begin(Expiry::default(), NOW);
    let digest = realm.digest(&token);
    let record = Record::new(Revision::from_bits(1), NOW, limits, digest, entries.clone());
    let all = (&token, &realm, digest, &entries, &record);
    for shown in [format!("{all:?}"), format!("{all:#?}")] {
        let lower = shown.to_lowercase();
        assert!(lower.contains(&token.id().to_string()), "{shown}");
        assert!(lower.contains("name"), "{shown}");
        let packed: String = lower.split_whitespace().collect();
        for hidden in [
            &PLAIN[22..],
            "0001020304",
            "0,1,2,3",
            "00,01,02",
            "erika",
            &text_of(digest),
            // The digest's first bytes, as numbers and in hexadecimal.
            "148,36,30",
            "94241e",
            "sha256",
        ] {
            assert!(
                !packed.contains(&hidden.to_lowercase()),
                "{hidden} in {shown}"
            );
        }
    }
}

/// A generator that always fails.
#[derive(Debug)]
struct Broken;

impl Rng for Broken {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        // These bytes must not be used.
        bytes.fill(0);
        Err(RngError::new("out of rng"))
    }
}

/// A generator whose bytes count up, and which counts its calls.
#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        for (byte, number) in bytes.iter_mut().zip(1..) {
            *byte = number;
        }
        Ok(())
    }
}

#[test]
fn a_token_and_its_first_revision_are_one_call_and_share_no_byte() {
    let rng = Counting::default();
    let (token, revision) = Token::issue_with_revision(NOW, &rng).unwrap();
    assert_eq!(rng.0.load(Ordering::Relaxed), 1);
    assert_eq!(token.encode(), Token::issue(NOW, &rng).unwrap().encode());
    assert_eq!(revision.to_string(), "1b1c1d1e1f202122");
    assert!(Token::issue_with_revision(NOW, &Broken).is_err());
}

#[test]
fn without_randomness_nothing_is_issued() {
    let error = Token::issue(NOW, &Broken).unwrap_err();
    assert!(error.to_string().contains("random number generator"));
    assert_eq!(error.source().unwrap().to_string(), "out of rng");
    assert!(Revision::draw(&Broken).is_err());
    let shared: std::sync::Arc<dyn Rng> = std::sync::Arc::new(Broken);
    assert!(Token::issue(NOW, &shared).is_err());
}

/// Later releases must derive the same secrets, and other ones for another session: the id is part of what is
/// hashed.
#[test]
fn rotated_secrets_are_frozen() {
    let token = plain();
    let rotated = token.rotated(&[7; 16]);
    assert_eq!(rotated.id(), token.id());
    assert_eq!(
        rotated.encode(),
        "AZHgxI8qcACAAAAAAAAAADVA3F95af9KIPKOivc6OP4"
    );
    // The same secret in another session.
    let other = issue(NOW).encode()[..21].to_owned() + &PLAIN[21..];
    let other = Token::parse(&other).expect("a token");
    assert_ne!(other.id(), token.id());
    assert_ne!(
        other.rotated(&[7; 16]).encode()[22..],
        rotated.encode()[22..]
    );
}
