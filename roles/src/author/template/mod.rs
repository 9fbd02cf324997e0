//! Templates: the expressions of roles, and `if`, `for`, `include`. One language with roles: the same types, marks and faults.
//!
//! A line that holds nothing but one `{% %}` or `{# #}` leaves nothing behind, neither blanks nor line end. `{%-` and `-%}` also take away
//! all white space before and after.

mod parse;
mod pieces;
mod render;

use super::diagnostic::Fault;
use super::source::Span;
use std::sync::Arc;

pub use parse::Template;
pub use render::{Rendered, Stop, judge, render};

/// Finds a template of the same tree by its path, for whoever names it at a place; or says there why it cannot be read.
pub type Load<'l> = dyn Fn(&str, &Span) -> Result<Arc<Template>, Box<Fault>> + 'l;
