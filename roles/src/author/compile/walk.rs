//! Steps, blocks, `when` and `each`: from what is written to the bodies that count on this node.

use super::context::{Context, Read, Reported};
use super::left_out::Bears;
use super::scope::{RoleScope, loops_over, names};
use crate::author::diagnostic::Fault;
use crate::author::kinds::ScalarType;
use crate::author::role::{Action, Body, Each, Role, Step};
use crate::author::value::{Data, Value, to_scalar};
use crate::words::Span as Time;

/// A body and what the blocks and step words around it say.
#[derive(Clone)]
pub(super) struct Found<'s, 'c, 'a> {
    pub(super) body: &'a Body,
    pub(super) step: &'a Step,
    pub(super) scope: &'s RoleScope<'c, 'a>,
    pub(super) words: Words,
    /// A `when` leaves it out on this node.
    pub(super) left_out: bool,
}

/// What step words say.
#[derive(Clone, Copy, Default)]
pub(super) struct Words {
    pub(super) within: Option<Time>,
    pub(super) while_busy: bool,
    pub(super) together: Option<u32>,
    /// Whether it is made at all, or how often, depends on values that nobody gave yet.
    pub(super) assumed: bool,
    /// Of whose values that depends.
    pub(super) bears: Bears,
    /// It is left out by what is so on every machine of the system.
    pub(super) never: bool,
    pub(super) live: bool,
}

/// Goes through steps in written order.
pub(super) struct Walk<'w, 'c, 'a> {
    context: &'c Context<'a>,
    /// The number of the last `together`.
    together: &'w mut u32,
    visit: &'w mut dyn FnMut(&Found<'_, 'c, 'a>),
}

impl<'w, 'c, 'a> Walk<'w, 'c, 'a> {
    /// Calls `visit` for each body of a role's steps or checks.
    pub(super) fn role(
        context: &'c Context<'a>,
        role: &'a Role,
        steps: &'a [Step],
        together: &'w mut u32,
        visit: &'w mut dyn FnMut(&Found<'_, 'c, 'a>),
    ) {
        let mut walk = Walk { context, together, visit };
        walk.steps(steps, &RoleScope::new(context, role), Words::default(), false);
    }

    fn steps(&mut self, steps: &'a [Step], scope: &RoleScope<'c, 'a>, words: Words, left_out: bool) {
        for step in steps {
            if self.context.is_full() {
                return;
            }
            match &step.each {
                None => self.once(step, scope, words, left_out),
                Some(each) => {
                    self.context.assumed.set(false);
                    self.context.bears.set(Bears::default());
                    let elements = self.elements(each, scope).unwrap_or_default();
                    let bears = words.bears.or(self.context.bears.get());
                    let words = Words { assumed: words.assumed || self.context.assumed.get(), bears, ..words };
                    if let Some(why) = self.context.why_left_out_elsewhere(words).filter(|_| elements.is_empty()) {
                        self.context.leave_out_unread(step, scope.role, why);
                    }
                    for inner in elements {
                        if self.context.one_more_turn(&each.name.span).is_err() {
                            return;
                        }
                        self.once(step, &inner, words, left_out);
                    }
                }
            }
        }
    }

    /// The scopes of a loop.
    fn elements(&self, each: &'a Each, scope: &RoleScope<'c, 'a>) -> Read<Vec<RoleScope<'c, 'a>>> {
        let name = &each.name.value;
        let hidden = names(scope.role).contains(name) || scope.loops.iter().any(|(known, _)| known == name);
        if hidden {
            return Err(self
                .context
                .fault(Fault::new(&each.name.span, format!("`{name}` hides another name")).hint("choose another name")));
        }
        let value = self.context.bare(&each.over, scope)?;
        let end = each.over.offset + each.over.text.len();
        let span = || each.over.node.part(each.over.offset..end);
        if value.marks.is_secret() {
            return Err(self.context.fault(Fault::new(&span(), "a secret may not decide how often a step is made")));
        }
        self.context.reads(&value.marks);
        let items = loops_over(value).map_err(|value| {
            self.context.fault(Fault::new(&span(), format!("`each` goes over {}", value.data.noun())).expected("a list or a map"))
        })?;
        Ok(items.into_iter().map(|item| scope.with(name, item)).collect())
    }

    fn once(&mut self, step: &'a Step, scope: &RoleScope<'c, 'a>, mut outer: Words, mut left_out: bool) {
        if let (Some(when), false) = (&step.when, left_out) {
            self.context.assumed.set(false);
            self.context.bears.set(Bears::default());
            match self.context.condition(when, "when", scope) {
                Ok(holds) => {
                    (outer.assumed, left_out) = (outer.assumed || self.context.assumed.get(), !holds && !self.context.assumed.get());
                    let bears = self.context.bears.get();
                    outer.never |= left_out && bears.is_nothing();
                    outer.bears = outer.bears.or(bears);
                }
                Err(Reported) => return,
            }
        }
        let within = if left_out { None } else { step.within.as_ref().and_then(|node| self.within(node, scope).ok()) };
        let mut words = Words {
            within: within.or(outer.within),
            while_busy: outer.while_busy || step.while_busy,
            live: outer.live || step.live,
            ..outer
        };
        match &step.action {
            Action::Resource(body) => (self.visit)(&Found { body, step, scope, words, left_out }),
            Action::Steps(steps) => self.steps(steps, scope, words, left_out),
            Action::Together(steps) => {
                *self.together += 1;
                words.together = words.together.or(Some(*self.together));
                self.steps(steps, scope, words, left_out);
            }
        }
    }

    fn within(&self, node: &crate::author::source::Node, scope: &RoleScope<'c, 'a>) -> Read<Time> {
        let value = self.context.value(node, scope)?;
        let read = to_scalar(&value, ScalarType::Duration, node.span.source().tree());
        match read {
            Ok(Value { data: Data::Duration(span), marks }) if !marks.is_secret() => Ok(span),
            Ok(_) => Err(self.context.fault(Fault::new(&node.span, "a secret may not stand in `within`"))),
            Err(mismatch) => {
                Err(self.context.fault(Fault::new(&node.span, mismatch.to_string()).expected(ScalarType::Duration.expected())))
            }
        }
    }
}
