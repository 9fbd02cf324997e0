//! What crosses the line: a magic, then frames; the messages of both directions.
//!
//! Old reader, new data: added fields have defaults and are skipped (named fields); added message variants are refused by the
//! schema number in [`message::Hello`], never misread. New reader, old data: defaults.

mod buffer;
pub mod frame;
pub mod message;
mod values;
