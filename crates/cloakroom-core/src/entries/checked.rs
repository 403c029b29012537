//! Writes JSON, and refuses values that reading it would not return.
//!
//! `serde_json` writes a float that is not finite, and `Some` of a value that is itself written as `null`, as
//! `null`; and it writes values that are nested more deeply than it reads.

use std::cell::Cell;
use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The most levels of lists, maps and enum variants that `serde_json` reads.
const MAX_DEPTH: u8 = 127;

/// Why reading a value would not return the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFinite,
    SomeOfNull,
    TooDeep,
}

/// Appends the JSON of a value. The refusal is `None` if the value's own `Serialize` has failed, or JSON cannot
/// hold the value.
pub(super) fn write<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), Option<Refusal>> {
    let refusal = Cell::new(None);
    let position = Position {
        refusal: &refusal,
        depth: 0,
        in_some: false,
    };
    let mut json = serde_json::Serializer::new(out);
    let written = Checked::new(&mut json, position).write(value);
    written.map_err(|_| refusal.get())
}

/// Where in a value the serializer is.
#[derive(Clone, Copy)]
struct Position<'a> {
    /// Set when the value is refused.
    refusal: &'a Cell<Option<Refusal>>,
    depth: u8,
    /// Whether the value is that of a `Some`, with nothing in between that JSON shows.
    in_some: bool,
}

impl Position<'_> {
    fn refuse<E: serde::ser::Error>(self, refusal: Refusal) -> Result<(), E> {
        self.refusal.set(Some(refusal));
        Err(E::custom("the value would not be read back"))
    }

    fn check_float<E: serde::ser::Error>(self, is_finite: bool) -> Result<(), E> {
        if is_finite {
            return Ok(());
        }
        self.refuse(Refusal::NotFinite)
    }

    /// Checks a value that is written as `null`.
    fn check_null<E: serde::ser::Error>(self) -> Result<(), E> {
        if self.in_some {
            return self.refuse(Refusal::SomeOfNull);
        }
        Ok(())
    }

    fn in_some(self) -> Self {
        Self {
            in_some: true,
            ..self
        }
    }

    /// The position of the elements of a list or a map, or of the content of an enum variant, which is
    /// `levels` below.
    fn below<E: serde::ser::Error>(self, levels: u8) -> Result<Self, E> {
        let depth = self.depth.saturating_add(levels);
        if depth > MAX_DEPTH {
            self.refuse(Refusal::TooDeep)?;
        }
        Ok(Self {
            depth,
            in_some: false,
            ..self
        })
    }
}

/// A serializer, or what one has returned for a list, a map or a struct, with the checks around it.
struct Checked<'a, S> {
    inner: S,
    at: Position<'a>,
}

/// A value that is written by a checked serializer.
struct Value<'a, T: ?Sized> {
    value: &'a T,
    at: Position<'a>,
}

impl<'a, S> Checked<'a, S> {
    const fn new(inner: S, at: Position<'a>) -> Self {
        Self { inner, at }
    }

    fn write<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        value.serialize(self)
    }
}

impl<T: Serialize + ?Sized> Serialize for Value<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Checked::new(serializer, self.at).write(self.value)
    }
}

/// Methods for values that need no check.
macro_rules! unchecked {
    ($($method:ident: $value:ty),*) => {$(
        fn $method(self, value: $value) -> Result<Self::Ok, Self::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Checked<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Checked<'a, S::SerializeSeq>;
    type SerializeTuple = Checked<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Checked<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Checked<'a, S::SerializeTupleVariant>;
    type SerializeMap = Checked<'a, S::SerializeMap>;
    type SerializeStruct = Checked<'a, S::SerializeStruct>;
    type SerializeStructVariant = Checked<'a, S::SerializeStructVariant>;

    unchecked!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8]
    );

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.at.check_float(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.at.check_float(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.at.check_null()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let at = self.at.in_some();
        self.inner.serialize_some(&Value { value, at })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.at.check_null()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.at.check_null()?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let at = self.at;
        self.inner
            .serialize_newtype_struct(name, &Value { value, at })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let at = self.at.below(1)?;
        let value = Value { value, at };
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let at = self.at.below(1)?;
        Ok(Checked::new(self.inner.serialize_seq(len)?, at))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let at = self.at.below(1)?;
        Ok(Checked::new(self.inner.serialize_tuple(len)?, at))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        let at = self.at.below(1)?;
        let inner = self.inner.serialize_tuple_struct(name, len)?;
        Ok(Checked::new(inner, at))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let at = self.at.below(2)?;
        let inner = self
            .inner
            .serialize_tuple_variant(name, index, variant, len)?;
        Ok(Checked::new(inner, at))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let at = self.at.below(1)?;
        Ok(Checked::new(self.inner.serialize_map(len)?, at))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let at = self.at.below(1)?;
        Ok(Checked::new(self.inner.serialize_struct(name, len)?, at))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let at = self.at.below(2)?;
        let inner = self
            .inner
            .serialize_struct_variant(name, index, variant, len)?;
        Ok(Checked::new(inner, at))
    }

    // The default would allocate the text.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Lists, whose elements are written one by one.
macro_rules! checked_list {
    ($($list:ident: $method:ident),*) => {$(
        impl<S: $list> $list for Checked<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let at = self.at;
                self.inner.$method(&Value { value, at })
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

checked_list!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

/// Structs, whose fields have names.
macro_rules! checked_struct {
    ($($list:ident),*) => {$(
        impl<S: $list> $list for Checked<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let at = self.at;
                self.inner.serialize_field(key, &Value { value, at })
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

checked_struct!(SerializeStruct, SerializeStructVariant);

impl<S: SerializeMap> SerializeMap for Checked<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let at = self.at;
        self.inner.serialize_key(&Value { value, at })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let at = self.at;
        self.inner.serialize_value(&Value { value, at })
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
