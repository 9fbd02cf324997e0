//! The layers of an image, lowest first: what each is made from, by which digest it is found again, and why it has to be made anew.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::words::Digest;
use serde::{Deserialize, Serialize};

use super::error::ImageError;

/// Counts the ways in which layers were made: another way makes other layers.
const WAY: u32 = 1;

/// One layer as it was, or will be, made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPlan {
    /// What it is found by: the digest of everything that went in, and of what is below it.
    pub key: Digest,
    /// What it lies on.
    #[serde(skip)]
    pub below: Option<Digest>,
    /// `base`, a role's name, `seal`.
    pub name: String,
    /// Everything that goes in, by name, without what is below it.
    pub inputs: BTreeMap<String, Digest>,
    /// The steps of the catalog that it holds.
    #[serde(skip)]
    pub steps: Range<usize>,
}

impl LayerPlan {
    /// A layer upon another one.
    pub fn new(below: Option<&Digest>, name: &str, inputs: BTreeMap<String, Digest>, steps: Range<usize>) -> Self {
        let key = Digest::of_value(&(WAY, below, name, &inputs));
        Self { key, below: below.copied(), name: name.to_owned(), inputs, steps }
    }

    /// The layer of these steps. What the agent is goes in: another one may make other things of the same steps.
    pub fn of_steps(below: &Digest, name: &str, catalog: &Catalog, steps: Range<usize>, agent: &Digest) -> Self {
        let mut inputs = BTreeMap::from([(AGENT.to_owned(), *agent)]);
        for (place, step) in catalog.steps.get(steps.clone()).unwrap_or_default().iter().enumerate() {
            // Their order counts, and a step may stand twice under one name in two roles.
            inputs.insert(format!("{:04} {}", place + 1, step.id()), of_step(step));
        }
        Self::new(Some(below), name, inputs, steps)
    }

    /// Why it is not the layer that was made before at its place.
    pub fn why(&self, before: Option<&Self>) -> String {
        let Some(before) = before.filter(|before| before.name == self.name) else { return "it was not made before".to_owned() };
        if before.key == self.key {
            return "it is not in the cache any more".to_owned();
        }
        let reasons = changed(&self.inputs, &before.inputs);
        match reasons.as_slice() {
            [] if self.inputs != before.inputs => "its steps come in another order".to_owned(),
            [] => "what is below it changed".to_owned(),
            [first] => first.clone(),
            [first, more @ ..] => format!("{first}, and {} more", more.len()),
        }
    }
}

/// What went in otherwise, by name: what is other, what is new, what is gone.
pub fn changed<V: PartialEq>(now: &BTreeMap<String, V>, then: &BTreeMap<String, V>) -> Vec<String> {
    let (now, then) = (by_name(now), by_name(then));
    let new = now.keys().filter(|name| !then.contains_key(*name)).map(|name| format!("{name} is new"));
    let gone = then.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone"));
    let is_other = |name: &str, value: &V| then.get(name).is_some_and(|then| *then != value);
    let other = now.iter().filter(|(name, value)| is_other(name, value)).map(|(name, _)| format!("{name} changed"));
    other.chain(new).chain(gone).collect()
}

/// Without the places of steps.
fn by_name<V>(inputs: &BTreeMap<String, V>) -> BTreeMap<&str, &V> {
    let plain = |name| match str::split_once(name, ' ') {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => name,
    };
    inputs.iter().map(|(name, value)| (plain(name.as_str()), value)).collect()
}

/// The name under which the agent goes in.
const AGENT: &str = "the agent";

/// What of a step decides what it makes: not where it is written.
fn of_step(step: &Step) -> Digest {
    Digest::of_value(&(&step.desired, &step.watches, step.together.is_some()))
}

/// The file of the stack that was made last, beside the builds of an image.
const LAST: &str = "stack.json";

/// The stack that was made last; empty where none was, or none that can be read.
pub fn last(builds: &Path) -> Vec<LayerPlan> {
    std::fs::read(builds.join(LAST)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Keeps a stack, for the reasons of the next build.
///
/// # Errors
/// When it cannot be written.
pub fn keep(builds: &Path, stack: &[LayerPlan]) -> Result<(), ImageError> {
    let path = builds.join(LAST);
    let text = serde_json::to_vec(stack).map_err(|error| ImageError::file("write", &path)(error.into()))?;
    crate::private::write(&path, &text, crate::private::Durable::No).map_err(ImageError::file("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(below: &str, inputs: &[(&str, &str)]) -> LayerPlan {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), Digest::of(value.as_bytes()))).collect();
        LayerPlan::new(Some(&Digest::of(below.as_bytes())), "base", inputs, 0..0)
    }

    #[test]
    fn why_a_layer_is_made_anew_is_told_by_what_went_in() {
        let was = layer("b", &[("0001 file /etc/motd", "hello"), ("0002 package git", "git")]);
        let cases = [
            (layer("b", &[("0001 file /etc/motd", "hi"), ("0002 package git", "git")]), "file /etc/motd changed"),
            (layer("c", &[("0001 file /etc/motd", "hello"), ("0002 package git", "git")]), "what is below it changed"),
            (layer("b", &[("0001 package git", "git"), ("0002 file /etc/motd", "hello")]), "its steps come in another order"),
            (layer("b", &[("0001 package git", "git")]), "file /etc/motd is gone"),
            (
                layer("b", &[("0001 file /etc/motd", "hi"), ("0002 package git", "git"), ("0003 user ci", "")]),
                "file /etc/motd changed, and 1 more",
            ),
            (was.clone(), "it is not in the cache any more"),
        ];
        for (now, why) in cases {
            assert_eq!(now.why(Some(&was)), why);
            assert_eq!(now.key == was.key, why.ends_with("any more"));
        }
        assert_eq!(was.why(None), "it was not made before");
    }
}
