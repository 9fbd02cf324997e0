//! What `explain var` shows: each parameter's value, the layer and place that won, and those that lost.

use super::Layer;
use crate::words::Origin;

/// One parameter of one role of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The role.
    pub role: String,
    /// The parameter.
    pub param: String,
    /// Its type, as written.
    pub kind: String,
    /// Its value on one line; `***` for a secret, `none` where nothing was given.
    pub value: String,
    /// The layer it comes from.
    pub layer: Layer,
    /// Where it was written.
    pub origin: Origin,
    /// Values of weaker layers that it replaced, strongest first.
    pub losing: Vec<Overridden>,
}

/// A value that a stronger layer replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overridden {
    /// Its layer.
    pub layer: Layer,
    /// Where it was written.
    pub origin: Origin,
    /// What was written there.
    pub written: String,
}
