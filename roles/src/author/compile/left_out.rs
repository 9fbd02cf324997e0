//! What an image goes without: whose value it reads decides, however it came to be read.

use std::fmt;

use super::context::{Context, origin};
use super::scope::RoleScope;
use super::walk::{Found, Words};
use crate::author::role::{Action, Body, Role, Step};
use crate::author::source::{Node, Span};
use crate::author::value::Marks;
use crate::words::{Origin, RoleName};

/// Something that is not in an image, or not asked of it while it is built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// What, `KIND KEY`; the key as it is written where a value of another machine stands in it.
    pub id: String,
    /// The role that wants it.
    pub role: RoleName,
    /// Where it says so.
    pub origin: Origin,
    /// Why.
    pub why: LeftOutWhy,
}

/// Why it is left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LeftOutWhy {
    /// It depends on what is one node's own: its name, host, addresses, host keys.
    Own,
    /// It depends on the machine, which is another than the builder: processors, memory, what it runs in.
    Machine,
    /// The step says `live: true`.
    Live,
    /// A master brings it.
    Executor,
}

impl LeftOutWhy {
    /// Its word in reports that programs read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Machine => "machine",
            Self::Live => "live",
            Self::Executor => "executor",
        }
    }
}

/// For people.
impl fmt::Display for LeftOutWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own => "it is the node's own",
            Self::Machine => "it depends on the machine",
            Self::Live => "it says `live: true`",
            Self::Executor => "a master brings it",
        })
    }
}

/// Of whose values something was made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Bears {
    own: bool,
    machine: bool,
}

impl Bears {
    /// What these marks say.
    pub(super) fn of(marks: &Marks) -> Self {
        Self { own: marks.own, machine: marks.machine }
    }

    /// Of either.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self { own: self.own || other.own, machine: self.machine || other.machine }
    }

    /// Whether it is the same on every machine of the system.
    pub(super) fn is_nothing(self) -> bool {
        self.why().is_none()
    }

    /// Why it is in no image; none: it is the same on every machine.
    fn why(self) -> Option<LeftOutWhy> {
        match self {
            Self { own: true, .. } => Some(LeftOutWhy::Own),
            Self { machine: true, .. } => Some(LeftOutWhy::Machine),
            Self { .. } => None,
        }
    }
}

impl<'a> Context<'a> {
    /// Keeps of whose values it is that were read.
    pub(super) fn bears(&self, bears: Bears) {
        self.bears.set(self.bears.get().or(bears));
    }

    /// Why the image goes without what is made of such values, or stands under such words. None of a node: it has everything.
    pub(super) fn why_left_out(&self, bears: Bears, words: Words) -> Option<LeftOutWhy> {
        self.image?;
        bears.why().or(words.live.then_some(LeftOutWhy::Live))
    }

    /// The same of what a `when` leaves out here: on another machine it may not. It is there on none where anything else leaves it out too.
    pub(super) fn why_left_out_elsewhere(&self, words: Words) -> Option<LeftOutWhy> {
        self.image.filter(|_| !words.never)?;
        words.bears.why()
    }

    /// Keeps that the image goes without a body's resources, or its check; `ids` are what they are called here.
    pub(super) fn leave_out(&self, found: &Found<'_, '_, 'a>, ids: &[String], why: LeftOutWhy) {
        let (body, scope) = (found.body, found.scope);
        let ids = if ids.is_empty() || self.is_called_by_another(body, scope) { as_written(body) } else { ids.to_vec() };
        ids.into_iter().for_each(|id| self.left_out(id, scope.role, &found.step.span, why));
    }

    /// The same of steps of which nothing is known here, not even how many there are.
    pub(super) fn leave_out_unread(&self, step: &'a Step, role: &Role, why: LeftOutWhy) {
        match &step.action {
            Action::Resource(body) => as_written(body).into_iter().for_each(|id| self.left_out(id, role, &step.span, why)),
            Action::Steps(steps) | Action::Together(steps) => steps.iter().for_each(|step| self.leave_out_unread(step, role, why)),
        }
    }

    /// Keeps that the image goes without something, once.
    pub(super) fn left_out(&self, id: String, role: &Role, span: &Span, why: LeftOutWhy) {
        let Ok(role) = RoleName::parse(&role.name.value) else { return };
        let one = LeftOut { id, role, origin: origin(span), why };
        let mut left_out = self.left_out.borrow_mut();
        if !left_out.iter().any(|known| known.id == one.id && known.origin == one.origin) {
            left_out.push(one);
        }
    }

    /// Whether the name of what a body declares is made of values of another machine than that which the image becomes.
    fn is_called_by_another(&self, body: &Body, scope: &RoleScope<'_, 'a>) -> bool {
        let read = |node: &Node| self.quietly(|| self.value(node, scope)).is_ok_and(|value| !Bears::of(&value.all_marks()).is_nothing());
        body.fields.list.iter().filter(|field| field.spec.key).any(|field| read(&field.value))
    }
}

/// What a body declares by the words of its file, a line each.
fn as_written(body: &Body) -> Vec<String> {
    let text = |node: &Node| match node.as_scalar() {
        Some(scalar) => scalar.text.clone(),
        None => node.span.text().split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let mut ids = vec![body.kind.word.to_owned()];
    for field in body.fields.list.iter().filter(|field| field.spec.key) {
        let parts: Vec<String> = field.value.as_list().map_or_else(|| vec![text(&field.value)], |items| items.iter().map(text).collect());
        ids = ids.iter().flat_map(|id| parts.iter().map(move |part| format!("{id} {part}"))).collect();
    }
    ids
}
