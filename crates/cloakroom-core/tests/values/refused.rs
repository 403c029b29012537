//! What JSON would not give back is refused, and `null` is absent for a type that is never `null`.

use std::collections::BTreeMap;

use cloakroom_core::entries::Base64;
use cloakroom_core::{Changes, Entries, EntryError};
use serde::Serialize;

fn refusal(value: &impl Serialize) -> String {
    let mut entries = Entries::new();
    let error = entries.set("key", value).expect_err("it is refused");
    assert!(error.is_encode() && entries.is_empty());
    error.to_string()
}

fn accepted(value: &impl Serialize) -> Entries {
    let mut entries = Entries::new();
    entries.set("key", value).expect("it is accepted");
    entries
}

#[test]
fn floats_that_are_not_finite_are_refused_at_any_depth() {
    #[derive(Serialize)]
    struct Place {
        name: &'static str,
        position: Option<(f32, f64)>,
    }
    struct FloatKey;
    impl Serialize for FloatKey {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(f64::INFINITY, 1)])
        }
    }
    let place = Place {
        name: "pole",
        position: Some((f32::NEG_INFINITY, 0.0)),
    };
    for error in [
        refusal(&f64::NAN),
        refusal(&f32::NAN),
        refusal(&f64::INFINITY),
        refusal(&f64::NEG_INFINITY),
        refusal(&vec![1.0, f64::NAN]),
        refusal(&(1, f32::INFINITY)),
        refusal(&BTreeMap::from([("a", f64::NAN)])),
        refusal(&place),
        refusal(&FloatKey),
    ] {
        assert!(error.contains("NaN or infinite"), "{error}");
    }
    assert_eq!(accepted(&f64::MAX).get("key"), Ok(Some(f64::MAX)));
    assert_eq!(place.name, "pole");
}

#[test]
fn some_of_a_value_that_is_written_as_null_is_refused() {
    for error in [
        refusal(&Some(None::<u8>)),
        refusal(&Some(())),
        refusal(&vec![Some(Some(None::<String>))]),
        refusal(&BTreeMap::from([("a", Some(None::<u8>))])),
    ] {
        assert!(error.contains("read as `None`"), "{error}");
    }
    let list = vec![Some(vec![None::<u8>]), None];
    assert_eq!(accepted(&list).get("key"), Ok(Some(list)));
    let nested = Some(Some(7));
    assert_eq!(accepted(&nested).get("key"), Ok(Some(nested)));
    assert_eq!(accepted(&()).get("key"), Ok(Some(())));
    assert_eq!(accepted(&None::<u8>).get("key"), Ok(Some(None::<u8>)));
}

/// A list in a list, and so on.
#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
struct Nested(Vec<Nested>);

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested(vec![]), |inner, _| Nested(vec![inner]))
}

#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
enum Chain {
    End,
    Tuple(Box<Chain>, u8),
    Newtype(Box<Chain>),
    Struct { next: Box<Chain> },
}

#[test]
fn what_is_nested_more_deeply_than_it_can_be_read_is_refused() {
    assert_eq!(accepted(&nested(127)).get("key"), Ok(Some(nested(127))));
    assert!(refusal(&nested(128)).contains("127 levels"));
    assert!(refusal(&nested(1000)).contains("127 levels"));

    type Link = fn(Box<Chain>) -> Chain;
    let links: [(Link, usize); 3] = [
        (|next| Chain::Tuple(next, 1), 2),
        (Chain::Newtype, 1),
        (|next| Chain::Struct { next }, 2),
    ];
    for (link, levels) in links {
        let chain = |count| (0..count).fold(Chain::End, |next, _| link(Box::new(next)));
        let most = 127 / levels;
        assert_eq!(accepted(&chain(most)).get("key"), Ok(Some(chain(most))));
        assert!(refusal(&chain(most + 1)).contains("127 levels"));
    }
}

#[test]
fn maps_whose_keys_are_no_text_are_refused() {
    let error = refusal(&BTreeMap::from([(vec![1], 1)]));
    assert!(error.contains("map keys"), "{error}");
    let error = refusal(&BTreeMap::from([(None::<u8>, 1)]));
    assert!(error.contains("map keys"), "{error}");
}

#[test]
fn null_is_absent_for_a_type_that_is_never_null() {
    let mut entries = accepted(&None::<String>);
    assert_eq!(entries.get::<String>("key"), Ok(None));
    assert_eq!(entries.get::<u32>("key"), Ok(None));
    assert_eq!(entries.get::<Vec<u8>>("key"), Ok(None));
    assert_eq!(entries.get::<Option<String>>("key"), Ok(Some(None)));
    let updated = Changes::new().update(&mut entries, "key", |n: Option<u32>| n.unwrap_or(6) + 1);
    assert_eq!(updated, Ok(7));
    // A null inside of a value is not a missing value.
    let error = accepted(&vec![None::<u8>]).get::<Vec<u8>>("key");
    assert!(error.is_err_and(|error| error.is_decode()));
}

#[test]
fn an_update_to_a_value_that_would_not_come_back_changes_nothing() {
    let mut entries = accepted(&1.5);
    let mut changes = Changes::new();
    let updated = changes.update(&mut entries, "key", |_: Option<f64>| f64::NAN);
    assert!(updated.is_err_and(|error| error.is_encode()));
    assert_eq!(entries.get("key"), Ok(Some(1.5)));
    assert!(changes.is_empty());
}

#[test]
fn a_missing_field_is_named_as_the_reason_and_no_value_is_shown() {
    #[derive(Debug, serde::Deserialize)]
    struct Cart {
        #[expect(dead_code, reason = "it is only read")]
        items: Vec<u8>,
    }
    let entries = accepted(&BTreeMap::from([("secret", "hunter2")]));
    let error: EntryError = entries.get::<Cart>("key").expect_err("a field is missing");
    let text = error.to_string();
    assert!(text.contains("lacks a required field"), "{text}");
    assert!(
        text.contains("Cart") && error.type_name().ends_with("Cart"),
        "{text}"
    );
    assert!(!format!("{text} {error:?}").contains("hunter2"));
    let error = entries.get::<u8>("key").expect_err("it is a map");
    assert!(error.to_string().contains("another shape"), "{error}");
}

#[test]
fn base64_takes_a_third_more_than_the_bytes_and_a_list_more_than_three_times() {
    let bytes: Vec<u8> = (0..=255).collect();
    let text = accepted(&Base64(bytes.clone()));
    assert_eq!(text.entry("key").map(|entry| entry.json().len()), Some(346));
    let list = accepted(&bytes);
    assert_eq!(list.entry("key").map(|entry| entry.json().len()), Some(915));
    for entries in [text, list] {
        assert_eq!(entries.get("key"), Ok(Some(Base64(bytes.clone()))));
    }
    assert!(accepted(&"no base64!").get::<Base64>("key").is_err());
    assert!(accepted(&vec![300]).get::<Base64>("key").is_err());
    assert_eq!(format!("{:?}", Base64(bytes)), "Base64(256 bytes)");
}
