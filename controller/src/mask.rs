//! What this program may not print, keep or send: one mask for a run, which grows as secrets are opened and given. Clones share it.

use ostler_roles::mask::Mask;
use ostler_roles::texts::{Text, Texts};
use ostler_roles::words::Secret;
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};

/// So many values are looked for apart before they are taken in with the others: a thousand executors bring a secret each, one by one.
const RECENT: usize = 64;

/// The mask of this run.
#[derive(Clone, Default)]
pub struct RunMask(Arc<RwLock<Parts>>);

#[derive(Default)]
struct Parts {
    settled: Part,
    recent: Part,
    /// What either masks.
    mask: Mask,
}

/// Values that are looked for together.
#[derive(Default)]
struct Part {
    values: Vec<Secret<Vec<u8>>>,
    mask: Mask,
}

impl Part {
    fn new(values: Vec<Secret<Vec<u8>>>) -> Self {
        let mask = Mask::of(values.iter().map(|value| value.expose().as_slice()));
        Self { values, mask }
    }
}

impl std::fmt::Debug for RunMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunMask")
    }
}

impl RunMask {
    /// From now on these show nowhere.
    pub fn add<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) {
        let mut parts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Parts { settled, recent, mask } = &mut *parts;
        let mut new = std::mem::take(recent).values;
        let before = new.len();
        for value in values {
            let is_known = settled.values.iter().chain(&new).any(|known| known.expose() == value);
            if !is_known {
                new.push(Secret::new(value.to_vec()));
            }
        }
        if settled.values.is_empty() || new.len() > RECENT {
            let all = std::mem::take(settled).values.into_iter().chain(new).collect();
            *settled = Part::new(all);
        } else if new.len() > before || before > 0 {
            *recent = Part::new(new);
        }
        *mask = settled.mask.joined(&recent.mask);
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        self.mask().text(text)
    }

    /// Masks a text, or the lines of one output, in place.
    pub fn hide(&self, text: Text<'_>) {
        self.mask().hide(text);
    }

    /// Masks every text of a message.
    pub fn hide_in<T: Texts + ?Sized>(&self, message: &mut T) {
        message.texts(&mut |text| self.hide(text));
    }

    /// Masks every text of a JSON value, names of fields too.
    pub fn hide_in_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.hide(Text::One(text)),
            Value::Array(values) => values.iter_mut().for_each(|value| self.hide_in_json(value)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.hide_in_json(&mut value);
                    (self.text(&name), value)
                });
                *fields = masked.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn mask(&self) -> Mask {
        self.0.read().unwrap_or_else(PoisonError::into_inner).mask.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_come_one_by_one_are_all_masked_in_every_clone() {
        let mask = RunMask::default();
        let clone = mask.clone();
        assert_eq!(clone.text("secret-number-1"), "secret-number-1");
        for number in 0..200 {
            mask.add([format!("secret-number-{number}.").as_bytes()]);
        }
        for number in 0..200 {
            assert_eq!(clone.text(&format!("<secret-number-{number}.>")), "<***>");
        }
        assert_eq!(clone.text("secret-number-200."), "secret-number-200.");
        assert_eq!(format!("{mask:?}"), "RunMask");
    }

    #[test]
    fn what_came_later_may_hold_what_was_known_or_overlap_it() {
        let mask = RunMask::default();
        mask.add([b"hunter2".as_slice()]);
        mask.add([b"hunter2hunter".as_slice(), b"under-hunt"]);
        assert_eq!(mask.text("<hunter2hunter> <under-hunter2> hunter2"), "<***> <***> ***");
    }

    #[test]
    fn json_stays_json() {
        let mask = RunMask::default();
        mask.add([b"\\bar\"12".as_slice(), b"123456".as_slice()]);
        let mut value = serde_json::json!({ "said": ["foo\\bar\"12", 123_456], "123456": null });
        mask.hide_in_json(&mut value);
        assert_eq!(value, serde_json::json!({ "said": ["foo***", 123_456], "***": null }));
    }
}
