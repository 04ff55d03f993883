//! JSON that means the same to everybody: no duplicate keys, no bottomless nesting.
//!
//! Two readers that disagree on which of two equal keys counts would see two different manifests under one digest.
//! Fails: `Fault`. Cost: one pass; memory is the keys of the objects that are open.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Checks that `body` is one JSON object, at most `depth_max` levels deep, without duplicate keys. A key of the
/// outermost object that is one of `fields` but for its case is refused too: some readers take it for that field.
pub(crate) fn check(
    body: &[u8],
    depth_max: usize,
    fields: &'static [&'static str],
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    reader.deserialize_map(Level {
        left: depth_max,
        fields,
    })?;
    reader.end()
}

#[derive(Clone, Copy)]
struct Level {
    left: usize,
    /// Names that keys here must not resemble.
    fields: &'static [&'static str],
}

impl Level {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, fields: &[] }),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(Key(key)) = map.next_key()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            if let Some(field) = self
                .fields
                .iter()
                .find(|field| key != **field && key.eq_ignore_ascii_case(field))
            {
                return Err(de::Error::custom(format_args!(
                    "key {key:?} is {field:?} in another case"
                )));
            }
            seen.insert(key);
            map.next_value_seed(inside)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key, unescaped, so that two spellings of one key are one key.
#[derive(Deserialize)]
struct Key(String);
