//! Resources as declared: joined where two roles declare one, in the order of first declaration.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{Context, Read, Reported};
use super::triggers;
use super::walk::{Found, Words};
use crate::author::diagnostic::Fault;
use crate::author::kinds::{self, Becomes, Building, Placed, Values, Written};
use crate::author::role::Role;
use crate::author::source::Span;
use crate::author::value::Value;
use crate::catalog::Watch;
use crate::facts::Facts;
use crate::resource::{Desired, Kind, ResourceId};
use crate::words::{AbsPath, Sensitive};

/// A resource as far as it is declared.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) id: ResourceId,
    pub(super) values: Values,
    /// The role that declares it first.
    pub(super) role: &'a Role,
    /// Where it does.
    pub(super) span: Span,
    pub(super) words: DraftWords,
    /// Every role that declares it.
    pub(super) roles: Vec<&'a str>,
}

impl Draft<'_> {
    /// Where it stands in the tree of files.
    pub(super) fn path(&self) -> Option<AbsPath> {
        kinds::of(self.id.kind).path(&self.values)
    }
}

/// Step words after joining.
#[derive(Clone, Copy, Debug)]
pub(super) struct DraftWords {
    pub(super) within: Option<crate::words::Span>,
    pub(super) while_busy: bool,
    pub(super) together: Option<u32>,
}

/// A place in the order: a resource, and what it watches there.
#[derive(Clone, Debug)]
pub(super) struct OrderEntry<'a> {
    /// The draft's number.
    pub(super) draft: usize,
    pub(super) watches: Vec<Watch>,
    pub(super) role: &'a Role,
    pub(super) span: Span,
    /// The block that it stands in, here.
    pub(super) together: Option<u32>,
}

/// All resources of a node.
#[derive(Default)]
pub(super) struct Drafts<'a> {
    pub(super) list: Vec<Draft<'a>>,
    pub(super) turns: Vec<OrderEntry<'a>>,
    pub(super) by_id: BTreeMap<ResourceId, usize>,
    /// What an image goes without: one of its declarations, also one that does not count here, is not the same on every machine.
    pub(super) withheld: BTreeSet<ResourceId>,
    /// Resources that a `when` left out, by the role that declares them.
    pub(super) left_out: Vec<(ResourceId, &'a str)>,
    /// A step could not be read: what it declares is not known.
    pub(super) failed: bool,
    /// Names of triggers that were not declared before their watcher; judged when all is known.
    pub(super) pending: Vec<triggers::Pending<'a>>,
}

impl<'a> Drafts<'a> {
    /// Takes one step: one resource, or one for each element of the list in it.
    pub(super) fn take(&mut self, context: &Context<'a>, found: &Found<'_, '_, 'a>) {
        let role = found.scope.role;
        if found.left_out {
            context.files_of(found);
            let ids = context.quietly(|| self.read(context, found).map(|all| all.into_iter().map(|(id, _)| id).collect::<Vec<_>>()));
            let ids = ids.unwrap_or_default();
            if let Some(why) = context.why_left_out_elsewhere(found.words) {
                context.leave_out(found, &ids.iter().map(ToString::to_string).collect::<Vec<_>>(), why);
                self.withheld.extend(ids.iter().cloned());
            }
            self.left_out.extend(ids.into_iter().map(|id| (id, role.name.value.as_str())));
            return;
        }
        context.assumed.set(found.words.assumed);
        context.bears.set(found.words.bears);
        let Ok(declared) = self.read(context, found) else {
            self.failed = true;
            return;
        };
        if context.assumed.get() {
            // What it would be beside others depends on values that nobody gave yet.
            self.failed = true;
            return;
        }
        if let Some(why) = context.why_left_out(context.bears.get(), found.words) {
            context.leave_out(found, &declared.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), why);
            self.withheld.extend(declared.iter().map(|(id, _)| id.clone()));
        }
        for (id, values) in declared {
            self.declare(context, id, values, role, &found.step.span, found.words);
        }
    }

    /// The resources of one body.
    fn read(&self, context: &Context<'a>, found: &Found<'_, '_, 'a>) -> Read<Vec<(ResourceId, Values)>> {
        let mut values = context.fields(&found.body.fields, found.scope)?;
        let Becomes::Resource(spec) = &found.body.kind.becomes else {
            return Err(context.fault(Fault::new(&values.span, format!("`{}` is a check", found.body.kind.word))));
        };
        for ways in spec.ways {
            context.contents(&mut values, ways, found.scope)?;
        }
        if context.assumed.get() && context.assume.is_some() {
            return Ok(Vec::new());
        }
        if !context.assumed.get() {
            context.given(&values, found.body.kind)?;
        }
        let read = (spec.reads)(context, &mut values).and_then(|()| (spec.split)(values));
        let declared =
            read.and_then(|all| all.into_iter().map(|own| Ok((ResourceId { kind: spec.kind, key: (spec.key)(&own)? }, own))).collect());
        declared.map_err(|fault: Box<Fault>| context.fault(*fault))
    }

    /// Adds a declaration, or joins it to the first one.
    fn declare(&mut self, context: &Context<'a>, id: ResourceId, mut values: Values, role: &'a Role, span: &Span, words: Words) {
        let names = std::mem::take(&mut values.triggers);
        let watches = triggers::resolve(self, context, &id, names, role, words.together);
        let draft = match self.by_id.get(&id) {
            None => {
                let together = words.together;
                let words = DraftWords { within: words.within, while_busy: words.while_busy, together };
                let number = self.list.len();
                self.by_id.insert(id.clone(), number);
                self.list.push(Draft { id, values, role, span: span.clone(), words, roles: vec![&role.name.value] });
                self.turns.push(OrderEntry { draft: number, watches, role, span: span.clone(), together });
                return;
            }
            Some(number) => *number,
        };
        let first = &mut self.list[draft];
        first.roles.push(&role.name.value);
        // Each role knows how long its own may take.
        first.words.within = first.words.within.max(words.within);
        first.words.while_busy &= words.while_busy;
        join(context, first, values, role);
        if !watches.is_empty() {
            self.turns.push(OrderEntry { draft, watches, role, span: span.clone(), together: words.together });
        }
    }

    /// Whether an image is compiled, and it goes without a resource.
    pub(super) fn is_withheld(&self, context: &Context<'a>, id: &ResourceId) -> bool {
        context.image.is_some() && self.withheld.contains(id)
    }

    /// Closed resources, in order of their drafts; none where one could not be closed.
    pub(super) fn close(&self, context: &Context<'a>) -> Vec<Option<Desired>> {
        let building = OfNode { context, executors: 0 };
        let close = |draft: &Draft<'a>| {
            let spec = kinds::resource(draft.id.kind)?;
            (spec.build)(&draft.values, &building).map_err(|fault| context.fault(*fault)).ok()
        };
        let mut closed: Vec<Option<Desired>> = self.list.iter().map(close).collect();
        let mut by_kind: BTreeMap<Kind, Vec<(&Values, &mut Desired)>> = BTreeMap::new();
        for (draft, desired) in self.list.iter().zip(&mut closed).filter(|(draft, _)| !self.is_withheld(context, &draft.id)) {
            by_kind.entry(draft.id.kind).or_default().extend(desired.as_mut().map(|desired| (&draft.values, desired)));
        }
        for (kind, mut all) in by_kind {
            if let Some(spec) = kinds::resource(kind) {
                (spec.joint)(&mut all);
            }
        }
        closed
    }
}

/// What building sees of one node.
pub(super) struct OfNode<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    /// How many executors its roles bring; what no resource asks for.
    pub(super) executors: u32,
}

impl Building for OfNode<'_, '_> {
    fn sensitive(&self, value: &Value) -> Sensitive {
        self.context.sensitive(value)
    }
    fn facts(&self) -> Option<&Facts> {
        self.context.raw_facts()
    }
    fn executors(&self) -> u32 {
        self.executors
    }
}

/// Two declarations of one resource: equal in every field that both write.
fn join(context: &Context<'_>, first: &mut Draft<'_>, second: Values, role: &Role) {
    for (name, placed) in second.fields {
        match first.values.fields.get(name) {
            None => drop(first.values.fields.insert(name, placed)),
            Some(known) if known.written == placed.written => {}
            Some(known) => {
                let Reported = conflict(context, &first.id, name, known, &placed, (first.role, role));
            }
        }
    }
}

fn conflict(context: &Context<'_>, id: &ResourceId, field: &str, known: &Placed, placed: &Placed, roles: (&Role, &Role)) -> Reported {
    // Of two contents the places show what there is to see.
    let shown = |one: &Written, other: &Written| match (one, other) {
        (Written::Value(one), Written::Value(other)) => format!(": `{}` and `{}`", one.shown(), other.shown()),
        (Written::Content(_), _) | (_, Written::Content(_)) => String::new(),
    };
    let (first, second) = (&roles.0.name.value, &roles.1.name.value);
    let message = if first == second {
        format!("{second} declares `{id}` twice, with different `{field}`{}", shown(&known.written, &placed.written))
    } else {
        format!("{second} and {first} declare `{id}` with different `{field}`{}", shown(&placed.written, &known.written))
    };
    context.fault(Fault::new(&placed.span, message).also(&known.span, "the first"))
}
