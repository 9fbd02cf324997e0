//! A template's text in a scope, with the marks of all that it read. What is wrong is kept, and the rest is judged too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

use super::Load;
use super::parse::{Branch, Part, Placed, Template, placed};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::expr::{self, ExprFault, Missing, Scope, Unknown};
use crate::author::source::Source;
use crate::author::value::{Data, Marks, Value, as_text, pair};
use crate::words::Bytes;

/// The most that one template may become.
const MAX_BYTES: usize = 4 << 20;
/// The most turns that all loops of one template take together, and includes with them.
const MAX_TURNS: usize = 100_000;
/// The deepest chain of `include`: no template includes itself.
const MAX_INCLUDES: usize = 8;
/// What a turn costs beside the values that are made in it, in bytes.
const TURN: usize = 256;

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The marks of everything that it depends on.
    pub marks: Marks,
    /// What was printed of secrets, with its marks.
    pub secrets: Vec<(Zeroizing<String>, Marks)>,
}

/// Why nothing came out.
#[derive(Clone, Debug)]
pub enum Stop {
    /// All that is wrong in the template, at its places there.
    Faults(Faults),
    /// Told before.
    Reported,
    /// A word without an entry for the system.
    Missing(Missing),
}

/// Renders a template.
///
/// # Errors
/// Why not.
pub fn render(path: &str, template: &Template, load: &Load<'_>, scope: &dyn Scope) -> Result<Rendered, Stop> {
    let mut renderer = Renderer::new(path, load);
    // Beyond a limit nothing more is said.
    let _ended = renderer.template(template, scope);
    match renderer.silent {
        _ if !renderer.faults.is_empty() => Err(Stop::Faults(renderer.faults)),
        Some(silent) => Err(silent),
        None => Ok(renderer.done),
    }
}

/// What is wrong with a template whatever its values are, where it is not rendered.
pub fn judge(path: &str, template: &Template, load: &Load<'_>, scope: &dyn Scope) -> Faults {
    let mut renderer = Renderer::new(path, load);
    renderer.judge_template(template, scope);
    renderer.faults
}

/// A limit was reached: rendering ends.
struct LimitReached;

struct Renderer<'l> {
    load: &'l Load<'l>,
    /// The templates that include each other.
    open: Vec<String>,
    /// Turns of loops and includes so far.
    turns: usize,
    done: Rendered,
    faults: Faults,
    /// Why nothing comes out without a fault of the template.
    silent: Option<Stop>,
    /// Included templates.
    loaded: BTreeMap<String, Arc<Template>>,
    /// Parts that were judged without being rendered, by where they stand in memory: templates stay there as long as this.
    judged: BTreeSet<*const Part>,
}

/// A loop's name over the names around it; without a value where none is known.
struct Inner<'s> {
    outer: &'s dyn Scope,
    name: &'s str,
    value: Option<&'s Value>,
}

impl Scope for Inner<'_> {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        if name == self.name { self.value.cloned().ok_or(Unknown::Reported) } else { self.outer.get(name) }
    }
    fn field(&self, name: &str, field: &str) -> Result<Option<Value>, Unknown> {
        if name == self.name { Ok(None) } else { self.outer.field(name, field) }
    }
    fn spend(&self, bytes: usize) -> Result<(), Unknown> {
        self.outer.spend(bytes)
    }
}

type Flow = Result<(), LimitReached>;

impl<'l> Renderer<'l> {
    fn new(path: &str, load: &'l Load<'l>) -> Self {
        Self {
            load,
            open: vec![path.to_owned()],
            turns: 0,
            done: Rendered::default(),
            faults: Faults::new(),
            silent: None,
            loaded: BTreeMap::new(),
            judged: BTreeSet::new(),
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// A fault at a whole expression.
    fn wrong(&mut self, expr: &Placed, source: &Arc<Source>, message: String, hint: &str) {
        self.fault(placed(source, expr.1, ExprFault::new(expr.0.range(), message).hint(hint)));
    }

    /// The value of an expression; none where there is none, which is kept.
    fn value(&mut self, expr: &Placed, source: &Arc<Source>, scope: &dyn Scope) -> Option<Value> {
        match expr::eval(&expr.0, scope) {
            Ok(value) => return Some(value),
            Err(expr::Stop::Fault(fault)) => self.fault(placed(source, expr.1, *fault)),
            Err(expr::Stop::Reported) => self.silent = self.silent.take().or(Some(Stop::Reported)),
            Err(expr::Stop::Missing(missing)) => self.silent = Some(Stop::Missing(missing)),
        }
        None
    }

    fn template(&mut self, template: &Template, scope: &dyn Scope) -> Flow {
        self.faults.extend(template.faults.iter().cloned());
        self.parts(&template.parts, &template.source, scope)
    }

    fn parts(&mut self, parts: &[Part], source: &Arc<Source>, scope: &dyn Scope) -> Flow {
        for part in parts {
            match part {
                Part::Plain(range) => self.done.text.push_str(&source.text()[range.clone()]),
                Part::Print(expr) => self.print(expr, source, scope),
                Part::If(branches) => self.branch(branches, source, scope)?,
                Part::For { name, over, body } => self.repeat((name, over, body), source, scope)?,
                Part::Headless(name, body) => self.judge_under(name.as_deref(), body, source, scope),
                Part::Include(path, range) => self.include(path, range, source, scope)?,
            }
            if self.done.text.len() > MAX_BYTES {
                let span = source.span(part_start(part)..part_start(part));
                self.fault(Fault::new(&span, format!("the template becomes longer than {} here", Bytes(MAX_BYTES as u64))));
                return Err(LimitReached);
            }
        }
        Ok(())
    }

    fn print(&mut self, expr: &Placed, source: &Arc<Source>, scope: &dyn Scope) {
        let Some(value) = self.value(expr, source, scope) else { return };
        let marks = value.all_marks();
        self.done.marks.join(&marks);
        match as_text(&value.data) {
            Some(text) => {
                self.done.text.push_str(&text);
                if marks.is_secret() {
                    self.done.secrets.push((Zeroizing::new(text), marks));
                }
            }
            None => {
                let hint = match &value.data {
                    Data::List(_) | Data::Map(_) => "loop over it, or write `| json`",
                    _ => "guard it with `if`",
                };
                self.wrong(expr, source, format!("{} has no text", value.data.noun()), hint);
            }
        }
    }

    fn branch(&mut self, branches: &[Branch], source: &Arc<Source>, scope: &dyn Scope) -> Flow {
        // Those that do not count, and all of them where that is not known, are judged for their names.
        let mut decided = false;
        for (condition, body) in branches {
            let holds = match condition {
                _ if decided => false,
                None => true,
                Some(condition) => match self.value(condition, source, scope) {
                    None => {
                        decided = true;
                        false
                    }
                    Some(value) => {
                        self.done.marks.join(&value.all_marks());
                        match value.data {
                            Data::Boolean(holds) => holds,
                            other => {
                                let hint = "nothing counts as true by itself: compare it, `x is not none`, `x != \"\"`, `x is not empty`";
                                self.wrong(condition, source, format!("{} stands where true or false is wanted", other.noun()), hint);
                                decided = true;
                                false
                            }
                        }
                    }
                },
            };
            if holds {
                decided = true;
                self.parts(body, source, scope)?;
            } else {
                self.judge(body, source, scope);
            }
        }
        Ok(())
    }

    /// A turn of a loop, or an include.
    fn iterate(&mut self, span: impl Fn() -> crate::author::source::Span, scope: &dyn Scope) -> Flow {
        self.turns += 1;
        let told = if self.turns > MAX_TURNS {
            format!("the loops and includes of this template take more than {MAX_TURNS} turns")
        } else {
            match scope.spend(TURN) {
                Ok(()) => return Ok(()),
                Err(Unknown::Undefined { message, .. }) => message,
                Err(Unknown::Reported | Unknown::Missing(_)) => {
                    self.silent = self.silent.take().or(Some(Stop::Reported));
                    return Err(LimitReached);
                }
            }
        };
        self.fault(Fault::new(&span(), told));
        Err(LimitReached)
    }

    fn repeat(&mut self, (name, over, body): (&str, &Placed, &[Part]), source: &Arc<Source>, scope: &dyn Scope) -> Flow {
        if !matches!(scope.get(name), Err(Unknown::Undefined { .. })) {
            self.wrong(over, source, format!("the loop's name `{name}` hides another name"), "choose another name");
        }
        let Some(value) = self.value(over, source, scope) else {
            self.judge_under(Some(name), body, source, scope);
            return Ok(());
        };
        self.done.marks.join(&value.marks);
        let items = match value.data {
            Data::List(items) => items.to_vec(),
            Data::Map(entries) => entries.iter().map(pair).collect(),
            other => {
                self.wrong(over, source, format!("`for` goes over {}", other.noun()), "it wants a list or a map");
                Vec::new()
            }
        };
        if items.is_empty() {
            self.judge_under(Some(name), body, source, scope);
        }
        let span = || source.span(over.1 + over.0.range().start..over.1 + over.0.range().end);
        for item in &items {
            self.iterate(span, scope)?;
            self.parts(body, source, &Inner { outer: scope, name, value: Some(item) })?;
        }
        Ok(())
    }

    fn include(&mut self, path: &str, range: &Range<usize>, source: &Arc<Source>, scope: &dyn Scope) -> Flow {
        let Some(inner) = self.included(path, range, source) else { return Ok(()) };
        self.iterate(|| source.span(range.clone()), scope)?;
        self.open.push(path.to_owned());
        let go = self.template(&inner, scope);
        self.open.pop();
        go
    }

    /// The template that is included here; none where that was told wrong.
    fn included(&mut self, path: &str, range: &Range<usize>, source: &Arc<Source>) -> Option<Arc<Template>> {
        let span = source.span(range.clone());
        if self.open.iter().any(|open| open == path) || self.open.len() >= MAX_INCLUDES {
            self.fault(Fault::new(&span, format!("`{path}` is included by itself")));
            return None;
        }
        if let Some(known) = self.loaded.get(path) {
            return Some(Arc::clone(known));
        }
        match (self.load)(path, &span) {
            Ok(loaded) => {
                self.loaded.insert(path.to_owned(), Arc::clone(&loaded));
                Some(loaded)
            }
            Err(fault) => {
                self.fault(*fault);
                None
            }
        }
    }

    fn judge_template(&mut self, template: &Template, scope: &dyn Scope) {
        self.faults.extend(template.faults.iter().cloned());
        self.judge(&template.parts, &template.source, scope);
    }

    /// Judges parts that are not rendered, inside a loop whose name has no value.
    fn judge_under(&mut self, name: Option<&str>, parts: &[Part], source: &Arc<Source>, scope: &dyn Scope) {
        match name {
            Some(name) => self.judge(parts, source, &Inner { outer: scope, name, value: None }),
            None => self.judge(parts, source, scope),
        }
    }

    /// Says which names of parts that are not rendered are in nobody's scope.
    fn judge(&mut self, parts: &[Part], source: &Arc<Source>, scope: &dyn Scope) {
        // Once is enough, however often the block around it goes round.
        if !self.judged.insert(parts.as_ptr()) {
            return;
        }
        for part in parts {
            match part {
                Part::Plain(_) => {}
                Part::Include(path, range) => {
                    if let Some(inner) = self.included(path, range, source) {
                        self.open.push(path.clone());
                        self.judge_template(&inner, scope);
                        self.open.pop();
                    }
                }
                Part::Print(expr) => self.names(expr, source, scope),
                Part::If(branches) => {
                    for (condition, body) in branches {
                        if let Some(condition) = condition {
                            self.names(condition, source, scope);
                        }
                        self.judge(body, source, scope);
                    }
                }
                Part::For { name, over, body } => {
                    self.names(over, source, scope);
                    self.judge_under(Some(name), body, source, scope);
                }
                Part::Headless(name, body) => self.judge_under(name.as_deref(), body, source, scope),
            }
        }
    }

    fn names(&mut self, (expr, at): &Placed, source: &Arc<Source>, scope: &dyn Scope) {
        for (name, field, range) in expr::roots(expr) {
            let found = match &field {
                Some(field) => scope.field(&name, field).and_then(|found| found.map_or_else(|| scope.get(&name), Ok)),
                None => scope.get(&name),
            };
            // Only a name that nobody has: a field is as it is where the part is rendered.
            if let Err(unknown @ Unknown::Undefined { .. }) = found
                && let expr::Stop::Fault(fault) = unknown.at(&(range.start..range.start + name.len()))
            {
                self.fault(placed(source, *at, *fault));
            }
        }
    }
}

/// Where a part begins, near enough to tell it from others.
fn part_start(part: &Part) -> usize {
    match part {
        Part::Plain(range) | Part::Include(_, range) => range.start,
        Part::Print((expr, at)) | Part::For { over: (expr, at), .. } => at + expr.range().start,
        Part::If(branches) => branches.iter().find_map(|(condition, _)| condition.as_ref()).map_or(0, |(expr, at)| at + expr.range().start),
        Part::Headless(_, body) => body.first().map_or(0, part_start),
    }
}
