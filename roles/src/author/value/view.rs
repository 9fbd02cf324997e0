//! What expressions see of a machine: its name, its host, its facts.

use std::sync::Arc;

use super::{Data, Value};
use crate::facts::Facts;
use crate::words::NodeName;

/// A machine of the inventory as a value: `.name`, `.host`, `.facts`.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// Where it is reached.
    pub host: String,
    /// Its facts; none when they were never read.
    pub facts: Option<Arc<Facts>>,
}

/// An entry of a map as a loop sees it.
pub(crate) fn pair((key, item): &(Arc<str>, Value)) -> Value {
    Value::map([("key", Value::text(Arc::clone(key))), ("value", item.clone())])
}

/// The stable facts of this node as a map: what is its own and what is its machine's bears the mark. Its system, its kernel and what it
/// begins with are those of whatever it was made of.
#[must_use]
pub fn facts_value(facts: &Facts) -> Value {
    as_map(facts, Value::own, Value::of_machine)
}

/// The facts of another machine: of the node that reads them they say nothing.
#[must_use]
pub fn facts_of_another(facts: &Facts) -> Value {
    as_map(facts, |value| value, |value| value)
}

fn as_map(facts: &Facts, own: fn(Value) -> Value, machine: fn(Value) -> Value) -> Value {
    let text = |text: &str| Value::text(text);
    // How many there are is its own, too.
    let texts = |texts: &[String]| own(Value::list(texts.iter().map(|one| own(text(one))).collect()));
    Value::map([
        ("hostname", own(text(&facts.hostname))),
        (
            "system",
            Value::map([
                ("id", text(&facts.system.id)),
                ("version", Data::Version(crate::words::Version(facts.system.version.clone())).into()),
                ("codename", text(&facts.system.codename)),
                ("family", text(&facts.system.family)),
            ]),
        ),
        ("arch", text(&facts.arch)),
        (
            "kernel",
            Value::map([("release", Data::Version(facts.kernel.release.clone()).into()), ("shared", Value::boolean(facts.kernel.shared))]),
        ),
        ("virtualization", machine(text(&facts.virtualization))),
        ("cpus", machine(Value::integer(facts.cpus))),
        ("memory", Value::map([("total", machine(Value::from(Data::Bytes(facts.memory))))])),
        ("addresses", texts(&facts.addresses)),
        ("host_keys", texts(&facts.host_keys)),
        ("package_manager", text(&facts.package_manager)),
        ("init", text(&facts.init)),
    ])
}
