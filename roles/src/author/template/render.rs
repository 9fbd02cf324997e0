//! A template's text in a scope, with the marks of all that it read.

use std::sync::Arc;

use super::Load;
use super::parse::{Branch, Part, parse, placed};
use crate::author::diagnostic::Fault;
use crate::author::expr::{self, Expr, ExprFault, Missing, Scope, Unknown};
use crate::author::source::Source;
use crate::author::value::{Data, Marks, Value, as_text, pair};

/// The most that one template may become.
const MAX_BYTES: usize = 4 << 20;
/// The most turns that all loops of one template take together.
const MAX_TURNS: usize = 100_000;
/// The deepest chain of `include`: no template includes itself.
const MAX_INCLUDES: usize = 8;

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The marks of everything that it depends on.
    pub marks: Marks,
}

/// Why nothing came out.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A fault in the template, at its place there.
    Fault(Fault),
    /// Reported before.
    Reported,
    /// A word without an entry for the system.
    Missing(Missing),
    /// The template cannot be read.
    Unreadable,
}

/// Renders a template.
///
/// # Errors
/// Why not.
pub fn render(path: &str, load: &Load<'_>, scope: &dyn Scope) -> Result<Rendered, Stop> {
    let source = load(path).ok_or(Stop::Unreadable)?;
    let parts = parse(&source).map_err(|fault| Stop::Fault(*fault))?;
    let mut renderer = Renderer { load, open: vec![path.to_owned()], turns: 0, done: Rendered::default() };
    renderer.parts(&parts, &source, scope)?;
    Ok(renderer.done)
}

struct Renderer<'l> {
    load: &'l Load<'l>,
    /// The templates that include each other.
    open: Vec<String>,
    /// Turns of loops so far.
    turns: usize,
    done: Rendered,
}

/// A loop's name over the names around it.
struct Inner<'s> {
    outer: &'s dyn Scope,
    name: &'s str,
    value: &'s Value,
}

impl Scope for Inner<'_> {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        if name == self.name { Ok(self.value.clone()) } else { self.outer.get(name) }
    }
    fn field(&self, name: &str, field: &str) -> Result<Option<Value>, Unknown> {
        if name == self.name { Ok(None) } else { self.outer.field(name, field) }
    }
}

fn evaluate(expr: &(Expr, usize), source: &Arc<Source>, scope: &dyn Scope) -> Result<Value, Stop> {
    expr::eval(&expr.0, scope).map_err(|stop| match stop {
        expr::Stop::Fault(fault) => Stop::Fault(placed(source, expr.1, *fault)),
        expr::Stop::Reported => Stop::Reported,
        expr::Stop::Missing(missing) => Stop::Missing(missing),
    })
}

/// A fault at a whole expression.
fn wrong(expr: &(Expr, usize), source: &Arc<Source>, message: String, hint: &str) -> Stop {
    Stop::Fault(placed(source, expr.1, ExprFault::new(expr.0.range(), message).hint(hint)))
}

impl Renderer<'_> {
    fn parts(&mut self, parts: &[Part], source: &Arc<Source>, scope: &dyn Scope) -> Result<(), Stop> {
        for part in parts {
            match part {
                Part::Plain(range) => self.done.text.push_str(&source.text()[range.clone()]),
                Part::Print(expr, at) => {
                    let expr = (expr.clone(), *at);
                    let value = evaluate(&expr, source, scope)?;
                    self.done.marks.join(&value.all_marks());
                    match as_text(&value.data) {
                        Some(text) => self.done.text.push_str(&text),
                        None => {
                            let hint = match &value.data {
                                Data::List(_) | Data::Map(_) => "loop over it, or write `| json`",
                                _ => "guard it with `if`",
                            };
                            return Err(wrong(&expr, source, format!("{} has no text", value.data.noun()), hint));
                        }
                    }
                }
                Part::If(branches) => self.branch(branches, source, scope)?,
                Part::For { name, over, body } => self.repeat(name, over, body, source, scope)?,
                Part::Include(path, range) => self.include(path, range, source, scope)?,
            }
            if self.done.text.len() > MAX_BYTES {
                return Err(Stop::Fault(Fault::new(&source.span(0..0), format!("the template becomes longer than {MAX_BYTES} bytes"))));
            }
        }
        Ok(())
    }

    fn branch(&mut self, branches: &[Branch], source: &Arc<Source>, scope: &dyn Scope) -> Result<(), Stop> {
        for (condition, body) in branches {
            let holds = match condition {
                None => true,
                Some(condition) => {
                    let value = evaluate(condition, source, scope)?;
                    self.done.marks.join(&value.all_marks());
                    let Data::Boolean(holds) = value.data else {
                        let hint = "nothing counts as true by itself: compare it, `x is not none`, `x != \"\"`, `x is not empty`";
                        return Err(wrong(condition, source, format!("{} stands where true or false is wanted", value.data.noun()), hint));
                    };
                    holds
                }
            };
            if holds {
                return self.parts(body, source, scope);
            }
        }
        Ok(())
    }

    fn repeat(&mut self, name: &str, over: &(Expr, usize), body: &[Part], source: &Arc<Source>, scope: &dyn Scope) -> Result<(), Stop> {
        let value = evaluate(over, source, scope)?;
        self.done.marks.join(&value.marks);
        if scope.get(name).is_ok() {
            return Err(wrong(over, source, format!("the loop's name `{name}` hides another name"), "choose another name"));
        }
        let items = match value.data {
            Data::List(items) => items.to_vec(),
            Data::Map(entries) => entries.iter().map(pair).collect(),
            other => return Err(wrong(over, source, format!("`for` goes over {}", other.noun()), "it wants a list or a map")),
        };
        for item in &items {
            self.turns += 1;
            if self.turns > MAX_TURNS {
                return Err(wrong(over, source, format!("the loops of this template take more than {MAX_TURNS} turns"), "loop over less"));
            }
            self.parts(body, source, &Inner { outer: scope, name, value: item })?;
        }
        Ok(())
    }

    fn include(&mut self, path: &str, range: &std::ops::Range<usize>, source: &Arc<Source>, scope: &dyn Scope) -> Result<(), Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(&source.span(range.clone()), message));
        if self.open.iter().any(|open| open == path) || self.open.len() >= MAX_INCLUDES {
            return Err(fault(format!("`{path}` is included by itself")));
        }
        if !path.starts_with("templates/") {
            return Err(fault(format!("`{path}` does not stand below `templates/`")));
        }
        let inner = (self.load)(path).ok_or_else(|| fault(format!("there is no template `{path}`")))?;
        let parts = parse(&inner).map_err(|fault| Stop::Fault(*fault))?;
        self.open.push(path.to_owned());
        self.parts(&parts, &inner, scope)?;
        self.open.pop();
        Ok(())
    }
}
