//! Values of every kind of serde's data model.

use std::collections::{BTreeMap, HashMap};

use cloakroom_core::Entries;
use cloakroom_core::entries::Base64;
use proptest::collection::{btree_map, hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::support::{config, regressions};

/// A value of any kind. Derived, so the enum itself has the external representation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Data {
    Unit,
    Bool(bool),
    Small(i8, u8, i16, u16),
    Large(i32, u32, i64, u64),
    Huge(i128, u128),
    Float(Bits),
    Char(char),
    Text(String),
    Bytes(ByteBuf),
    Base64(Base64),
    UnitStruct(UnitStruct),
    Newtype(Newtype),
    Option(Option<Box<Data>>),
    Options(Option<Option<Option<u8>>>),
    OptionOfUnit(Option<()>),
    OptionOfStruct(Option<Option<UnitStruct>>),
    List(Vec<Data>),
    Array([f32; 2]),
    Maps(Box<Maps>),
    Struct {
        #[serde(rename = "the \"field\"")]
        field: Box<Data>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
    },
    Flat(Flat),
    Internal(Internal),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Result(Result<u8, String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct UnitStruct;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Option<u64>);

/// Floats, of which each bit counts: 0 and -0 differ.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bits(f64, f32);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() && self.1.to_bits() == other.1.to_bits()
    }
}

/// Maps, whose keys are of every kind that JSON can have as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Maps {
    text: HashMap<String, u8>,
    number: BTreeMap<i64, u8>,
    huge: BTreeMap<u128, u8>,
    truth: BTreeMap<bool, u8>,
    char: BTreeMap<char, u8>,
    variant: BTreeMap<Unit, Data>,
    newtype: BTreeMap<Wrapped, u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Unit {
    First,
    #[serde(rename = "2\u{e9}")]
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Wrapped(u16);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    inner: Newtyped,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtyped {
    #[serde(rename = "$inner")]
    inner: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Struct { float: f64, list: Vec<Option<u32>> },
    Newtype(Newtyped),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
enum Adjacent {
    Unit,
    Newtype(Option<f32>),
    Tuple(u8, String),
    Struct { huge: i128 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<u8>),
    Struct { a: Option<char> },
}

/// Floats at the limits, subnormal ones, and those that are not finite.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => any::<u64>().prop_map(f64::from_bits),
        4 => 0.0..1.0_f64,
        2 => prop::num::f64::ANY,
        1 => Just(-0.0),
        1 => Just(f64::from_bits(1)),
        1 => Just(f64::MAX),
    ]
}

fn finite() -> impl Strategy<Value = f64> {
    float().prop_filter("it is finite", |float| float.is_finite())
}

fn small_float() -> impl Strategy<Value = f32> {
    prop_oneof![any::<u32>().prop_map(f32::from_bits), 0.0..1.0_f32]
}

fn leaf() -> impl Strategy<Value = Data> {
    prop_oneof![
        Just(Data::Unit),
        any::<bool>().prop_map(Data::Bool),
        any::<(i8, u8, i16, u16)>().prop_map(|(a, b, c, d)| Data::Small(a, b, c, d)),
        any::<(i32, u32, i64, u64)>().prop_map(|(a, b, c, d)| Data::Large(a, b, c, d)),
        any::<(i128, u128)>().prop_map(|(a, b)| Data::Huge(a, b)),
        (float(), small_float()).prop_map(|(large, small)| Data::Float(Bits(large, small))),
        any::<char>().prop_map(Data::Char),
        any::<String>().prop_map(Data::Text),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Data::Bytes(ByteBuf::from(bytes))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Data::Base64(Base64(bytes))),
        Just(Data::UnitStruct(UnitStruct)),
        any::<Option<u64>>().prop_map(|value| Data::Newtype(Newtype(value))),
        option::of(option::of(any::<Option<u8>>())).prop_map(Data::Options),
        any::<Option<()>>().prop_map(Data::OptionOfUnit),
        option::of(option::of(Just(UnitStruct))).prop_map(Data::OptionOfStruct),
        [small_float(), small_float()].prop_map(Data::Array),
        any::<Result<u8, String>>().prop_map(Data::Result),
        representations(),
    ]
}

/// Structs and enums in the representations that are read through a buffer.
fn representations() -> impl Strategy<Value = Data> {
    let inner = || option::of(finite()).prop_map(|inner| Newtyped { inner });
    let rest = btree_map("[a-z]{1,3}x", any::<i64>(), 0..3);
    prop_oneof![
        (any::<u8>(), inner(), rest).prop_map(|(own, inner, rest)| Data::Flat(Flat {
            own,
            inner,
            rest
        })),
        Just(Data::Internal(Internal::Unit)),
        (float(), vec(any::<Option<u32>>(), 0..4))
            .prop_map(|(float, list)| Data::Internal(Internal::Struct { float, list })),
        inner().prop_map(|inner| Data::Internal(Internal::Newtype(inner))),
        Just(Data::Adjacent(Adjacent::Unit)),
        option::of(small_float()).prop_map(|value| Data::Adjacent(Adjacent::Newtype(value))),
        any::<(u8, String)>().prop_map(|(a, b)| Data::Adjacent(Adjacent::Tuple(a, b))),
        any::<i128>().prop_map(|huge| Data::Adjacent(Adjacent::Struct { huge })),
        any::<i64>().prop_map(|value| Data::Untagged(Untagged::Integer(value))),
        float().prop_map(|value| Data::Untagged(Untagged::Float(value))),
        any::<String>().prop_map(|value| Data::Untagged(Untagged::Text(value))),
        vec(any::<u8>(), 0..4).prop_map(|value| Data::Untagged(Untagged::List(value))),
        any::<Option<char>>().prop_map(|a| Data::Untagged(Untagged::Struct { a })),
    ]
}

fn maps(data: impl Strategy<Value = Data>) -> impl Strategy<Value = Maps> {
    let variant = prop_oneof![Just(Unit::First), Just(Unit::Second)];
    (
        hash_map(any::<String>(), any::<u8>(), 0..3),
        btree_map(any::<i64>(), any::<u8>(), 0..3),
        btree_map(any::<u128>(), any::<u8>(), 0..3),
        btree_map(any::<bool>(), any::<u8>(), 0..3),
        btree_map(any::<char>(), any::<u8>(), 0..3),
        btree_map(variant, data, 0..3),
        btree_map(any::<u16>().prop_map(Wrapped), any::<u8>(), 0..3),
    )
        .prop_map(|(text, number, huge, truth, char, variant, newtype)| Maps {
            text,
            number,
            huge,
            truth,
            char,
            variant,
            newtype,
        })
}

fn data() -> impl Strategy<Value = Data> {
    leaf().prop_recursive(4, 24, 4, |data| {
        prop_oneof![
            option::of(data.clone()).prop_map(|value| Data::Option(value.map(Box::new))),
            vec(data.clone(), 0..4).prop_map(Data::List),
            maps(data.clone()).prop_map(|maps| Data::Maps(Box::new(maps))),
            (data, any::<Option<u8>>()).prop_map(|(field, absent)| Data::Struct {
                field: Box::new(field),
                absent
            }),
        ]
    })
}

impl Data {
    /// Whether JSON can hold the value, and it can be distinguished from others.
    fn comes_back(&self) -> bool {
        match self {
            Self::Float(Bits(large, small)) => large.is_finite() && small.is_finite(),
            Self::Array(floats) => floats.iter().all(|float| float.is_finite()),
            Self::Internal(Internal::Struct { float, .. })
            | Self::Untagged(Untagged::Float(float)) => float.is_finite(),
            Self::Adjacent(Adjacent::Newtype(Some(float))) => float.is_finite(),
            Self::Options(Some(inner)) => matches!(inner, Some(Some(_))),
            Self::OptionOfUnit(value) => value.is_none(),
            Self::OptionOfStruct(value) => value.is_none(),
            // A unit variant is text, and never `null`.
            Self::Option(value) => value.as_ref().is_none_or(|value| value.comes_back()),
            Self::List(list) => list.iter().all(Self::comes_back),
            Self::Maps(maps) => maps.variant.values().all(Self::comes_back),
            Self::Struct { field, .. } => field.comes_back(),
            _ => true,
        }
    }
}

proptest! {
    #![proptest_config(config(regressions!("values")))]

    #[test]
    fn what_is_accepted_comes_back_and_what_would_not_is_refused(value in data()) {
        let mut entries = Entries::new();
        match entries.set("key", &value) {
            Ok(()) => {
                prop_assert!(value.comes_back(), "it is accepted");
                let read: Option<Data> = entries.get("key").expect("it can be read");
                prop_assert_eq!(read, Some(value));
            }
            Err(error) => {
                prop_assert!(error.is_encode());
                prop_assert!(!value.comes_back(), "{}", error);
                prop_assert!(entries.is_empty());
            }
        }
    }

    #[test]
    fn floats_come_back_to_the_bit(large in finite(), small in small_float()) {
        let mut entries = Entries::new();
        entries.set("large", &large).expect("it is finite");
        let read: f64 = entries.get("large").expect("a float").expect("it is there");
        prop_assert_eq!(read.to_bits(), large.to_bits());
        if small.is_finite() {
            entries.set("small", &small).expect("it is finite");
            let read: f32 = entries.get("small").expect("a float").expect("it is there");
            prop_assert_eq!(read.to_bits(), small.to_bits());
        }
    }
}
