//! Checks at work: one file reads the evidence for each kind; the answer is judged in `roles`.

use super::node::Node;
use ostler_roles::check::{Check, Demands, Evidence};
use ostler_roles::outcome::Failure;
use ostler_roles::words::Span;
use std::time::Instant;

/// What evidence is read from, until when.
struct Reading<'a> {
    node: &'a Node,
    /// What else is asked of the node.
    demands: &'a Demands,
    deadline: Instant,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        $(mod $word;)*

        fn evidence(check: &Check, reading: &Reading<'_>) -> Result<Evidence, Failure> {
            match check { $(Check::$variant(check) => $word::read(check, reading).map(Evidence::$variant)),* }
        }
    };
}
ostler_roles::each_check!(kinds);

/// What the node shows for a check. Writes nothing.
pub(super) fn read(node: &Node, check: &Check, within: Span, demands: &Demands) -> Evidence {
    let reading = Reading { node, demands, deadline: Instant::now() + within.duration() };
    evidence(check, &reading).unwrap_or_else(|failed| {
        let causes: Vec<String> = std::iter::once(failed.message).chain(failed.causes).collect();
        Evidence::Unreadable(causes.join(": "))
    })
}
