//! What crosses the line: a magic, then frames; the messages of both directions.
//!
//! Old reader, new data: added fields have defaults and are skipped (named fields); added message variants are refused by the
//! schema number in [`message::Hello`], never misread. New reader, old data: defaults.

pub mod frame;
pub mod message;

use crate::words::Digest;
use serde::Serialize;

/// The digest of a value's named MessagePack form: the same on both ends.
pub fn digest_of<T: Serialize>(value: &T) -> Digest {
    #[expect(clippy::expect_used, reason = "our types serialise: no maps with non-string keys, no failing impls")]
    let bytes = rmp_serde::to_vec_named(value).expect("our types serialise");
    Digest::of(&bytes)
}
