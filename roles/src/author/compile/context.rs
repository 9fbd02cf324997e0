//! What one compilation knows, and how it reads values: every fault is kept, and reading goes on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::Input;
use super::left_out::{Bears, LeftOut};
use super::limits::Usage;
use super::order::Named;
use super::params::Params;
use super::prove::Sample;
use crate::author::diagnostic::{Fault, Faults};
use crate::author::expr::{self, ExprFault, Missing, Scope, Segment, Stop};
use crate::author::image::{Image, Like};
use crate::author::role::{Expression, Role};
use crate::author::site::{Group, NodeEntry};
use crate::author::source::{Node, NodeKind, Span, Tree};
use crate::author::value::{Data, Marks, NodeView, Value, as_text, facts_value, literal};
use crate::facts::Facts;
use crate::mask;
use crate::words::{Blob, Content, Digest, NodeName, Origin, Secret, SecretRef, Sensitive};

/// What was asked for has no value, and why was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reported;

pub(super) type Read<T> = Result<T, Reported>;

/// One compilation.
pub(super) struct Context<'a> {
    pub(super) input: Input<'a>,
    /// The node's entry in the inventory; none when only the site is read.
    pub(super) entry: Option<&'a NodeEntry>,
    /// Its groups, in written order.
    pub(super) groups: Vec<&'a Group>,
    /// Its roles, needed ones first.
    pub(super) roles: Vec<&'a Role>,
    /// Its facts as a value; read by [`Context::facts`].
    facts: Value,
    /// Facts were read, of this node or another: with others the outcome may be another.
    facts_read: Cell<bool>,
    /// Values of parameters.
    pub(super) params: Params<'a>,
    /// Contents that were rendered, and files that were named.
    pub(super) stores: RefCell<Stores>,
    faults: RefCell<Faults>,
    missing: RefCell<BTreeMap<Missing, Span>>,
    /// What was spent of its limits.
    pub(super) spent: Usage,
    /// Stands in for parameters that nobody gives, where a role is proved without a node; none on a node.
    pub(super) assume: Option<Sample>,
    /// A value that was assumed was read by the body being read.
    pub(super) assumed: Cell<bool>,
    /// Of whose values the body being read is made.
    pub(super) bears: Cell<Bears>,
    /// Of whose values the number of its executors is made.
    pub(super) count_bears: Cell<Bears>,
    /// The image that is compiled; none for a node.
    pub(super) image: Option<&'a Image>,
    /// What the image goes without.
    pub(super) left_out: RefCell<Vec<LeftOut>>,
    /// The nodes and masters that its values name.
    pub(super) named: RefCell<Named>,
}

/// Contents that a catalog names.
#[derive(Default)]
pub(super) struct Stores {
    pub(super) secrets: BTreeMap<Digest, Arc<Secret<Vec<u8>>>>,
    pub(super) masked: Vec<Arc<Secret<Vec<u8>>>>,
    pub(super) blobs: BTreeMap<Digest, Arc<[u8]>>,
    pub(super) files: BTreeMap<Digest, (Tree, String)>,
}

impl Stores {
    fn mask(&mut self, value: &[u8]) {
        if mask::is_long_enough(value) && !self.masked.iter().any(|known| known.expose() == value) {
            self.masked.push(Arc::new(Secret::new(value.to_vec())));
        }
    }
}

impl<'a> Context<'a> {
    /// Gathers what is known of the input's node.
    pub(super) fn new(input: &Input<'a>) -> Result<Self, Faults> {
        let nodes = &input.site.nodes;
        let unknown = |message: String| {
            let span = nodes.nodes.first().map_or_else(
                || crate::author::source::Source::new(Tree::Site, "nodes.yaml", "").span(0..0),
                |first| first.name.span.source().span(0..0),
            );
            Fault::new(&span, message)
        };
        let Some(entry) = nodes.nodes.iter().find(|entry| entry.name.value == input.node.as_str()) else {
            let known = nodes.nodes.iter().map(|entry| entry.name.value.as_str());
            return Err(unknown(format!("there is no node `{}`", input.node)).nearest(input.node.as_str(), known).into());
        };
        Self::of_entry(input, entry)
    }

    /// The same of an entry that need not stand in the inventory.
    pub(super) fn of_entry(input: &Input<'a>, entry: &'a NodeEntry) -> Result<Self, Faults> {
        let nodes = &input.site.nodes;
        let Some(facts) = input.facts.get(input.node) else {
            return Err(Fault::new(&entry.name.span, format!("the facts of {} are not known yet", input.node)).into());
        };
        let groups: Vec<&Group> =
            entry.groups.iter().filter_map(|name| nodes.groups.iter().find(|group| group.name.value == name.value)).collect();
        let listed = groups.iter().flat_map(|group| &group.roles).chain(&entry.roles).map(|name| name.value.as_str());
        let roles = input.roles.ordered(listed);
        let mut faults = Faults::new();
        let params = Params::new(input, entry, &groups, &roles, &mut faults);
        Ok(Self {
            input: *input,
            entry: Some(entry),
            groups,
            roles,
            facts: facts_value(facts),
            facts_read: Cell::default(),
            params,
            stores: RefCell::default(),
            faults: RefCell::new(faults),
            missing: RefCell::default(),
            spent: Usage::default(),
            assume: None,
            assumed: Cell::default(),
            bears: Cell::default(),
            count_bears: Cell::default(),
            image: None,
            left_out: RefCell::default(),
            named: RefCell::default(),
        })
    }

    /// What is known of the site, without any node of it.
    pub(super) fn of_site(input: &Input<'a>) -> Self {
        Self {
            input: *input,
            entry: None,
            groups: Vec::new(),
            roles: Vec::new(),
            facts: Value::none(),
            facts_read: Cell::default(),
            params: Params::default(),
            stores: RefCell::default(),
            faults: RefCell::default(),
            missing: RefCell::default(),
            spent: Usage::default(),
            assume: None,
            assumed: Cell::default(),
            bears: Cell::default(),
            count_bears: Cell::default(),
            image: None,
            left_out: RefCell::default(),
            named: RefCell::default(),
        }
    }

    /// The node's name.
    pub(super) fn called(&self) -> &'a str {
        self.entry.map_or("", |entry| entry.name.value.as_str())
    }

    /// Keeps a fault.
    pub(super) fn fault(&self, fault: Fault) -> Reported {
        self.faults.borrow_mut().push(fault);
        Reported
    }

    /// All faults so far; none are left behind.
    pub(super) fn take_faults(&self) -> Faults {
        self.faults.take()
    }

    /// Words of `by_system` that this node's system lacks, and a place that wanted each.
    pub(super) fn missing(&self) -> Vec<(Missing, Span)> {
        self.missing.borrow().iter().map(|(missing, span)| (missing.clone(), span.clone())).collect()
    }

    /// Runs `work` and forgets its faults: for what is not part of this node. That a limit was reached is told all the same.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let (mut faults, missing, full) = (self.faults.take(), self.missing.take(), self.is_full());
        let result = work();
        if self.is_full() && !full {
            faults.merge(self.faults.take());
        }
        *self.faults.borrow_mut() = faults;
        *self.missing.borrow_mut() = missing;
        result
    }

    /// The role of that name, if the node has it.
    pub(super) fn role(&self, name: &str) -> Option<&'a Role> {
        self.roles.iter().find(|role| role.name.value == name).copied()
    }

    /// The node's facts as a value.
    pub(super) fn facts(&self) -> Value {
        self.facts_read.set(true);
        self.facts.clone()
    }

    /// The facts as they are kept.
    pub(super) fn raw_facts(&self) -> Option<&'a Facts> {
        self.facts_read.set(true);
        self.input.facts.get(self.input.node).map(|facts| &**facts)
    }

    /// Whether facts were read so far.
    pub(super) fn has_read_facts(&self) -> bool {
        self.facts_read.get()
    }

    /// A machine as expressions see it.
    pub(super) fn view(&self, name: &str) -> Option<Value> {
        self.view_of(self.input.site.nodes.nodes.iter().find(|entry| entry.name.value == name)?)
    }

    /// An entry of the inventory as expressions see it.
    pub(super) fn view_of(&self, entry: &NodeEntry) -> Option<Value> {
        let name = NodeName::parse(&entry.name.value).ok()?;
        let host = entry.host.as_ref().map_or_else(|| name.to_string(), |host| host.value.clone());
        self.facts_read.set(true);
        let facts = self.input.facts.get(&name).cloned();
        let mut value = Value::from(Data::Node(Arc::new(NodeView { name, host, facts })));
        // The machine of an image is none of the inventory; one that it is like is what it becomes.
        let is_like = |image: &&Image| matches!(&image.like, Some(Like::Node(like)) if like.value == entry.name.value);
        value.marks.own = entry.name.value == self.called() || self.image.as_ref().is_some_and(is_like);
        Some(value)
    }

    /// `node`: this machine's name and host.
    pub(super) fn this_node(&self) -> Value {
        let host = self.entry.and_then(|entry| entry.host.as_ref()).map_or(self.called(), |host| host.value.as_str());
        Value::map([("name", Value::text(self.called()).own()), ("host", Value::text(host).own())])
    }

    /// Keeps that the node's system lacks a word.
    pub(super) fn lacks(&self, missing: Missing, span: &Span) -> Reported {
        self.missing.borrow_mut().entry(missing).or_insert_with(|| span.clone());
        Reported
    }

    /// Keeps why there is no value; `place` gives the place of a range of the expression.
    fn stopped(&self, stop: Stop, whole: &Span, place: impl Fn(&ExprFault) -> Span) -> Reported {
        match stop {
            Stop::Fault(fault) => {
                let span = place(&fault);
                self.fault(fault.at(&span))
            }
            Stop::Reported => Reported,
            Stop::Missing(missing) => self.lacks(missing, whole),
        }
    }

    /// The value of an expression that stands in `node` from byte `offset` of its text.
    fn expression(&self, text: &str, node: &Node, offset: usize, scope: &dyn Scope) -> Read<Value> {
        let value = expr::parse(text).map_err(Stop::from).and_then(|expr| expr::eval(&expr, scope));
        value.map_err(|stop| {
            self.stopped(stop, &node.span, |fault| {
                let range = &fault.range;
                node.part(offset + range.start..offset + range.end.max(range.start + 1))
            })
        })
    }

    /// The value of a bare expression.
    pub(super) fn bare(&self, expression: &Expression, scope: &dyn Scope) -> Read<Value> {
        self.expression(&expression.text, &expression.node, expression.offset, scope)
    }

    /// The value of a bare expression that must be true or false and no secret. One that is only assumed is as good as the other.
    pub(super) fn condition(&self, expression: &Expression, what: &str, scope: &dyn Scope) -> Read<bool> {
        let value = self.bare(expression, scope)?;
        self.reads(&value.marks);
        let end = expression.offset + expression.text.len();
        let span = || expression.node.part(expression.offset..end);
        if value.marks.is_secret() {
            return Err(self.fault(Fault::new(&span(), format!("a secret may not decide `{what}`"))));
        }
        match value.data {
            Data::Boolean(holds) => Ok(holds),
            other => Err(self.fault(
                Fault::new(&span(), format!("`{what}` is {}", other.noun()))
                    .expected("true or false")
                    .hint("nothing counts as true by itself: compare it, `x is not none`, `x != \"\"`, `x | length > 0`"),
            )),
        }
    }

    /// The value of what was written, expressions evaluated.
    pub(super) fn value(&self, node: &Node, scope: &dyn Scope) -> Read<Value> {
        match &node.kind {
            NodeKind::Scalar(scalar) if !scalar.has_expression() => Ok(literal(node)),
            NodeKind::Scalar(scalar) => self.text(&scalar.text, node, scope),
            NodeKind::List(_) => {
                let elements = self.elements(node, scope)?;
                Ok(Value::list(elements.list.into_iter().map(|(value, _)| value).collect()).marked(&elements.marks))
            }
            NodeKind::Map(entries) => {
                let mut read = Vec::new();
                let mut failed = false;
                for entry in entries {
                    match self.value(&entry.value, scope) {
                        Ok(value) => read.push((Arc::from(entry.key.value.as_str()), value)),
                        Err(Reported) => failed = true,
                    }
                }
                let value = Value::from(Data::Map(read.into()));
                self.bounded(value.size(), &node.span)?;
                if failed { Err(Reported) } else { Ok(value) }
            }
        }
    }

    /// The elements of a list with their places; a `{{ list }}` in it is spliced in. All of the node may be one expression too.
    pub(super) fn elements(&self, node: &Node, scope: &dyn Scope) -> Read<Elements> {
        let Some(items) = node.as_list() else {
            let value = self.value(node, scope)?;
            return match value.data {
                Data::List(items) => {
                    let list = items.iter().map(|item| (item.clone().marked(&value.marks), node.span.clone())).collect();
                    Ok(Elements { list, marks: value.marks })
                }
                other => Err(self.fault(Fault::new(&node.span, format!("{} stands here", other.noun())).expected("a list"))),
            };
        };
        let mut elements = Elements { list: Vec::new(), marks: Marks::default() };
        let (mut size, mut failed) = (0usize, false);
        for item in items {
            let Ok(value) = self.value(item, scope) else {
                failed = true;
                continue;
            };
            size = size.saturating_add(value.size());
            self.bounded(size, &item.span)?;
            match value {
                Value { data: Data::List(inner), marks } if item.as_scalar().is_some() => {
                    elements.list.extend(inner.iter().map(|one| (one.clone().marked(&marks), item.span.clone())));
                    // How many it adds is as secret as it is, also where it adds none.
                    elements.marks.join(&marks);
                }
                value => elements.list.push((value, item.span.clone())),
            }
        }
        if failed { Err(Reported) } else { Ok(elements) }
    }

    /// A text with expressions in it; one that is nothing else keeps the expression's type.
    fn text(&self, text: &str, node: &Node, scope: &dyn Scope) -> Read<Value> {
        let at = |fault: ExprFault| {
            let span = node.part(fault.range.clone());
            self.fault(fault.at(&span))
        };
        let segments = expr::segments(text).map_err(at)?;
        if let Some(range) = expr::whole(&segments) {
            return self.expression(&text[range.clone()], node, range.start, scope);
        }
        let (mut whole, mut marks, mut failed) = (String::new(), Marks::default(), false);
        for segment in segments {
            let range = match segment {
                Segment::Plain(range) => {
                    whole.push_str(&text[range]);
                    continue;
                }
                Segment::Expression(range) => range,
            };
            let Ok(value) = self.expression(&text[range.clone()], node, range.start, scope) else {
                failed = true;
                continue;
            };
            marks.join(&value.all_marks());
            match printed(&value) {
                Ok(part) => {
                    self.masks(&part, &value.all_marks());
                    self.bounded(whole.len() + part.len(), &node.part(trimmed(text, range)))?;
                    whole.push_str(&part);
                }
                Err((message, hint)) => {
                    failed = true;
                    self.fault(Fault::new(&node.part(trimmed(text, range)), message).hint(hint));
                }
            }
        }
        if failed {
            return Err(Reported);
        }
        self.spend(whole.len()).map_err(|unknown| self.stopped(unknown.at(&(0..text.len())), &node.span, |_| node.span.clone()))?;
        Ok(Value { data: Data::Text(whole.into()), marks })
    }

    /// A text as a file's content: secret bytes by reference, public ones by digest.
    pub(super) fn content(&self, text: &str, marks: &Marks) -> Content {
        if marks.is_secret() {
            return Content::Secret(self.secret(text, marks));
        }
        let bytes: Arc<[u8]> = Arc::from(text.as_bytes());
        let blob = Blob::of(&bytes);
        self.stores.borrow_mut().blobs.insert(blob.digest, bytes);
        Content::Blob(blob)
    }

    /// A reference to secret bytes; the bytes stand beside the catalog.
    fn secret(&self, text: &str, marks: &Marks) -> SecretRef {
        let hmac = SecretRef::hmac(self.input.secrets.key(), text.as_bytes());
        let mut stores = self.stores.borrow_mut();
        stores.secrets.insert(hmac, Arc::new(Secret::new(text.as_bytes().to_vec())));
        let opened = marks.secrets.iter().filter_map(|name| self.input.secrets.get(name).flatten());
        opened.for_each(|value| stores.mask(value.expose()));
        SecretRef { name: marks.secret_names(), hmac }
    }

    /// Keeps a text that stands in something secret, if it is secret itself: what was made of a secret is not always found by it.
    pub(super) fn masks(&self, text: &str, marks: &Marks) {
        if marks.is_secret() {
            self.stores.borrow_mut().mask(text.as_bytes());
        }
    }

    /// A text that may be secret.
    pub(super) fn sensitive(&self, value: &Value) -> Sensitive {
        let text = as_text(&value.data).unwrap_or_default();
        if value.marks.is_secret() {
            self.masks(&text, &value.marks);
            Sensitive::Secret(self.secret(&text, &value.marks))
        } else {
            Sensitive::Plain(text)
        }
    }

    /// The roles that a role may name resources of: itself and what it needs, directly or not.
    pub(super) fn reach(&self, role: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open = vec![role];
        while let Some(name) = open.pop() {
            let Some(role) = self.role(name) else { continue };
            if found.insert(role.name.value.as_str()) {
                open.extend(role.needs.iter().map(|need| need.role.value.as_str()));
            }
        }
        found
    }
}

/// A range without the blanks at its ends: marks stand under words.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + inner.len() - inner.trim_start().len();
    start..(range.end - (inner.len() - inner.trim_end().len())).max(start)
}

/// The elements of a list, each with its place.
pub(super) struct Elements {
    pub(super) list: Vec<(Value, Span)>,
    /// Those of the list itself: how many there are, and which.
    pub(super) marks: Marks,
}

/// A value as it stands in a text; what has none, and what to do.
pub(super) fn printed(value: &Value) -> Result<String, (String, &'static str)> {
    as_text(&value.data).ok_or_else(|| {
        let hint = match &value.data {
            Data::List(_) => "join it: `| join(\", \")`",
            Data::Map(_) => "name one of its fields, or write `| json`",
            Data::Node(_) => "name its `.host` or `.name`",
            _ => "guard it: `x if x is not none else \"\"`",
        };
        (format!("{} has no text", value.data.noun()), hint)
    })
}

/// A place for the wire.
pub(super) fn origin(span: &Span) -> Origin {
    let (line, column) = span.line_column();
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Origin { file: span.source().name().to_owned(), line: small(line), column: small(column) }
}
