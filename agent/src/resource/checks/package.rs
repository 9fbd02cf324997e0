//! `package`: installed, or offered by the node's sources.

pub(super) use super::super::package::evidence as read;
