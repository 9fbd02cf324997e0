//! The expression language of `{{ }}`, `when`, `each` and `assert`: closed, typed, strict. `docs/reference/expressions.md` is held to its tables.

mod eval;
mod filters;
mod lex;
mod operators;
mod parse;
mod syntax;
mod tests;
mod text;

use std::ops::Range;

pub(crate) use eval::{MAX_VALUE, too_large};
pub use eval::{Scope, eval};
pub use filters::{FILTERS, shell_quote};
pub use parse::parse;
pub use syntax::{Expr, roots};
pub use tests::TESTS;
pub(crate) use text::close;
pub use text::{Segment, segments, whole};

use super::diagnostic::{Fault, nearest};
use super::source::Span;
use super::value::Value;

/// Something wrong with an expression; the range counts bytes of its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExprFault {
    /// Where.
    pub range: Range<usize>,
    /// What.
    pub message: String,
    /// What may stand there.
    pub expected: Option<String>,
    /// The nearest valid word.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl ExprFault {
    /// A fault at a range.
    pub fn new(range: &Range<usize>, message: impl Into<String>) -> Self {
        Self { range: range.clone(), message: message.into(), expected: None, nearest: None, hint: None }
    }

    /// Says what may stand there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the valid word nearest to `word`.
    #[must_use]
    pub fn near<'a>(mut self, word: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(word, valid).map(str::to_owned);
        self
    }

    /// The same as a fault of a file.
    #[must_use]
    pub fn at(self, span: &Span) -> Fault {
        let mut fault = Fault::new(span, self.message);
        fault.expected = self.expected;
        fault.nearest = self.nearest;
        fault.hint = self.hint;
        fault
    }
}

/// Why there is no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// This is wrong.
    Fault(Box<ExprFault>),
    /// What it reads was found wrong before, and told.
    Reported,
    /// A word of `by_system` that has no entry for the node's system: a requirement that fails.
    Missing(Missing),
}

impl From<ExprFault> for Stop {
    fn from(fault: ExprFault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// A word without an entry for a system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Missing {
    /// The role.
    pub role: String,
    /// The word.
    pub word: String,
    /// The node's system, `ID-VERSION`.
    pub system: String,
}

/// Why a name has no value: as [`ExprFault`], its place still to be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// No such name.
    Undefined {
        /// What is wrong.
        message: String,
        /// The nearest valid word.
        nearest: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Reported before.
    Reported,
    /// No entry for the system.
    Missing(Missing),
}

impl Unknown {
    pub(crate) fn at(self, range: &Range<usize>) -> Stop {
        match self {
            Self::Undefined { message, nearest, hint } => {
                Stop::Fault(Box::new(ExprFault { nearest, hint, ..ExprFault::new(range, message) }))
            }
            Self::Reported => Stop::Reported,
            Self::Missing(missing) => Stop::Missing(missing),
        }
    }
}

/// A filter or a test as the reference shows it.
#[derive(Clone, Copy, Debug)]
pub struct Word<F> {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What it gives; one sentence.
    pub doc: &'static str,
    /// Fewest and most arguments.
    pub arguments: (usize, usize),
    /// What it does.
    pub run: F,
}

/// A filter's work: the value before `|`, the arguments.
pub type Filter = fn(&Value, &[Value]) -> Result<Value, String>;
/// A test's work: the value before `is`, the arguments.
pub type Test = fn(&Value, &[Value]) -> Result<bool, String>;
