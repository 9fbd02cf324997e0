//! How many values a message has, counted before it is made: an empty text is one byte on the line and two dozen in memory.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most values of one message. A catalog of ten thousand steps has a fifth of them.
pub(super) const MOST: usize = 2_000_000;
/// Messages of fewer bytes are not counted: whatever they hold, it is not much.
const SMALL: usize = 256 * 1024;

/// Refuses MessagePack of more values than any message of ours has.
pub(super) fn check(plain: &[u8]) -> Result<(), rmp_serde::decode::Error> {
    let mut count = 0;
    if plain.len() > SMALL {
        Count(&mut count).deserialize(&mut rmp_serde::Deserializer::from_read_ref(plain))?;
    }
    Ok(())
}

/// Counts one value and those within it.
struct Count<'a>(&'a mut usize);

impl Count<'_> {
    fn one<E: Error>(self) -> Result<(), E> {
        *self.0 += 1;
        if *self.0 > MOST { Err(E::custom(format!("it has more than {MOST} values"))) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }
    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        self.one()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.one()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Count(&mut *self.0))?.is_some() {}
        self.one()
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Count(&mut *self.0))?.is_some() {
            map.next_value_seed(Count(&mut *self.0))?;
        }
        self.one()
    }
}
