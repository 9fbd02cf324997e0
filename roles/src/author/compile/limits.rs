//! What the compilation of one node may cost: a value, all values together, all loops together.

use std::cell::Cell;
use std::cmp::Ordering;

use super::context::{Context, Read, Reported};
use crate::author::diagnostic::Fault;
use crate::author::expr::{self, Unknown};
use crate::author::source::Span;
use crate::words::Bytes;

/// What was spent so far.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Turns of all loops.
    turns: Cell<usize>,
    /// Bytes of all values that were made, kept or not.
    made: Cell<usize>,
    /// Bytes of those that are kept.
    held: Cell<usize>,
    /// A limit was told: nothing more is worked out.
    full: Cell<bool>,
}

/// How a count stands to its limit.
enum Count {
    /// Below it.
    Within,
    /// This is the one too many.
    Beyond,
    /// Some limit was told before.
    Reported,
}

impl Usage {
    fn count(&self, counter: &Cell<usize>, bytes: usize, most: usize) -> Count {
        counter.set(counter.get().saturating_add(bytes));
        let beyond = counter.get() > most;
        match self.full.replace(self.full.get() || beyond) {
            true => Count::Reported,
            false if beyond => Count::Beyond,
            false => Count::Within,
        }
    }
}

/// The most turns that all loops of a node's roles take together: loops in loops end somewhere.
const MAX_TURNS: usize = 50_000;
/// The most bytes that a node's parameters, fields and contents hold together.
const MAX_HELD: usize = 32 << 20;
/// The most bytes that are worked out for one node, kept or not: what takes longer than a moment is a program.
const MAX_MADE: usize = 128 << 20;
/// What to do with large texts.
const LARGE: &str = "large texts belong into files of files/, which are taken as they are";

impl Context<'_> {
    /// Counts a turn of a loop.
    pub(super) fn one_more_turn(&self, span: &Span) -> Read<()> {
        if self.is_full() {
            return Err(Reported);
        }
        self.spent.turns.set(self.spent.turns.get() + 1);
        match self.spent.turns.get().cmp(&(MAX_TURNS + 1)) {
            Ordering::Less => Ok(()),
            Ordering::Equal => {
                let message = format!("the loops of its roles take more than {MAX_TURNS} turns");
                Err(self.fault(Fault::new(span, message).on_node(self.called())))
            }
            Ordering::Greater => Err(Reported),
        }
    }

    /// Whether a limit of all values together was told: then nothing more is worked out.
    pub(super) fn is_full(&self) -> bool {
        self.spent.full.get()
    }

    /// Counts bytes that were worked out; told once, and without a place, which is the caller's.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Unknown> {
        match self.spent.count(&self.spent.made, bytes, MAX_MADE) {
            Count::Within => Ok(()),
            Count::Reported => Err(Unknown::Reported),
            Count::Beyond => Err(Unknown::Undefined {
                message: format!("more than {} are worked out for this node by here", Bytes(MAX_MADE as u64)),
                nearest: None,
                hint: Some(LARGE.to_owned()),
            }),
        }
    }

    /// Counts the bytes of a value that is kept.
    pub(super) fn hold(&self, bytes: usize, span: &Span) -> Read<()> {
        match self.spent.count(&self.spent.held, bytes, MAX_HELD) {
            Count::Within => Ok(()),
            Count::Reported => Err(Reported),
            Count::Beyond => {
                let message = format!("all values and contents of this node become larger than {}", Bytes(MAX_HELD as u64));
                Err(self.fault(Fault::new(span, message).hint(LARGE)))
            }
        }
    }

    /// A value that may not be larger than any value may be.
    pub(super) fn bounded(&self, size: usize, span: &Span) -> Read<()> {
        if size > expr::MAX_VALUE { Err(self.fault(Fault::new(span, expr::too_large()))) } else { Ok(()) }
    }
}
