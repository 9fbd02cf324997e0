//! Kinds whose hands are still to come.

use super::Act;
use super::fault::failure;
use super::node::Node;
use crate::engine::ApplyContext;
use ostler_roles::outcome::{Failure, FailureKind};

macro_rules! pending {
    ($($module:ident),*) => {$(
        impl Act for ostler_roles::resource::$module::Desired {
            fn observe(&self, _node: &Node) -> Result<Self::Observed, Failure> {
                Err(failure(FailureKind::Internal, concat!(stringify!($module), " is not there yet")))
            }
            fn apply(&self, _: &Node, _: Vec<Self::Change>, _: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
                Err(failure(FailureKind::Internal, concat!(stringify!($module), " is not there yet")))
            }
        }
    )*};
}

pending!(git_cache);
