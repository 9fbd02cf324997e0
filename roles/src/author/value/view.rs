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

/// The stable facts as a map.
#[must_use]
pub fn facts_value(facts: &Facts) -> Value {
    let text = |text: &str| Value::text(text);
    let own = |texts: &[String]| Value::list(texts.iter().map(|one| text(one).own()).collect());
    Value::map([
        ("hostname", text(&facts.hostname).own()),
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
        ("virtualization", text(&facts.virtualization)),
        ("cpus", Value::integer(facts.cpus)),
        ("memory", Value::map([("total", Value::from(Data::Bytes(facts.memory)))])),
        ("addresses", own(&facts.addresses)),
        ("host_keys", own(&facts.host_keys)),
        ("package_manager", text(&facts.package_manager)),
        ("init", text(&facts.init)),
    ])
}
