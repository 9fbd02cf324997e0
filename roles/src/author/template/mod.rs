//! Templates: the expressions of roles, and `if`, `for`, `include`. One language with roles: the same types, marks and faults.
//!
//! A line that holds nothing but one `{% %}` or `{# #}` leaves nothing behind, neither blanks nor line end. `{%-` and `-%}` also take away
//! all white space before and after.

mod parse;
mod pieces;
mod render;

use std::sync::Arc;

pub use parse::Template;
pub use render::{Rendered, Stop, render};

/// Finds a template of the same tree by its path; none when it is not there or no text.
pub type Load<'l> = dyn Fn(&str) -> Option<Arc<Template>> + 'l;
