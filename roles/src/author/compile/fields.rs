//! A body's fields, evaluated and typed by the kind's table.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::{Context, Read, Reported};
use crate::author::diagnostic::Fault;
use crate::author::expr::Scope;
use crate::author::kinds::{Becomes, FieldSpec, KindSpec, Placed, Rule, ScalarType, Shape, Values, Written};
use crate::author::literal;
use crate::author::role::{Expression, Fields};
use crate::author::source::{Node, NodeKind, Span};
use crate::author::value::{Data, Marks, Mismatch, Value, as_text, to_scalar};
use crate::resource::Kind;

impl Context<'_> {
    /// Evaluates every field; those given none count as not written.
    pub(super) fn fields(&self, fields: &Fields, scope: &dyn Scope) -> Read<Values> {
        let mut values = Values { span: fields.span.clone(), fields: BTreeMap::new(), triggers: BTreeMap::new() };
        let mut failed = false;
        for field in &fields.list {
            if let Shape::Triggers(action) = field.spec.shape {
                match self.names(&field.value, scope) {
                    Ok(names) => drop(values.triggers.insert(action, names)),
                    Err(Reported) => failed = true,
                }
                continue;
            }
            match self.shaped(&field.value, field.spec, &field.spec.shape, scope) {
                Ok(value) if value.is_none() && value.marks.is_secret() => {
                    failed = true;
                    self.fault(Fault::new(&field.value.span, format!("a secret may not stand in `{}`", field.spec.name)));
                }
                Ok(value) if value.is_none() && self.reads(&value.marks) => {}
                Ok(value) if value.is_none() && field.spec.required => {
                    failed = true;
                    self.fault(Fault::new(&field.value.span, format!("`{}` is none, and it must be given", field.spec.name)));
                }
                Ok(value) if value.is_none() => {}
                Ok(value) => {
                    let span = field.value.span.clone();
                    if self.hold(value.size(), &span).is_err() {
                        failed = true;
                    }
                    values.fields.insert(field.spec.name, Placed { written: Written::Value(value), span });
                }
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(values) }
    }

    /// The relations of checks and commands that want something given, of what the fields came to: what is none was not given, and a list of
    /// nothing guards nothing. Such a check would hold on every node, such a command never run, and nobody would say so.
    pub(super) fn given(&self, values: &Values, kind: &KindSpec) -> Read<()> {
        let would = match &kind.becomes {
            Becomes::Check(_) => "hold on every node",
            Becomes::Resource(spec) if spec.kind == Kind::Command => "never run",
            Becomes::Resource(_) => return Ok(()),
        };
        let watches = values.triggers.values().any(|names| !names.is_empty());
        let has = |name: &&str| values.fields.contains_key(name) && values.list(name).is_none_or(|list| !list.is_empty());
        for rule in kind.rules {
            let (Rule::ExactlyOne(names) | Rule::AtLeastOne(names)) = rule else { continue };
            if !watches && !names.iter().any(has) {
                let names = literal::words(names.iter().copied());
                let message = format!("of {names}, none has a value here: this `{}` would {would}", kind.word);
                return Err(self.fault(Fault::new(&values.span, message).hint("say with `when` where the step is not wanted")));
            }
        }
        Ok(())
    }

    /// Names of resources, each a text.
    fn names(&self, node: &Node, scope: &dyn Scope) -> Read<Vec<(String, Span)>> {
        let mut names = Vec::new();
        let elements = self.elements(node, scope)?;
        self.counted(&elements.marks, node, "a list of names")?;
        for (value, span) in elements.list {
            if value.marks.is_secret() {
                return Err(self.fault(Fault::new(&span, "a secret may not stand in a resource's name")));
            }
            match as_text(&value.data) {
                Some(text) => names.push((text, span)),
                None => {
                    return Err(self.fault(Fault::new(&span, format!("{} names no resource", value.data.noun())).expected("`KIND KEY`")));
                }
            }
        }
        Ok(names)
    }

    /// How many there are, and which, may be no secret: it stands in the open in plans and catalogs.
    fn counted(&self, marks: &Marks, node: &Node, what: &str) -> Read<()> {
        self.reads(marks);
        if !marks.is_secret() {
            return Ok(());
        }
        Err(self.fault(Fault::new(&node.span, format!("a secret may not decide how many stand in {what}"))))
    }

    /// A value of a shape.
    fn shaped(&self, node: &Node, spec: &FieldSpec, shape: &Shape, scope: &dyn Scope) -> Read<Value> {
        match shape {
            Shape::Expression => {
                let text = node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
                let expression = Expression { text, offset: 0, node: node.clone() };
                self.condition(&expression, spec.name, scope).map(Value::boolean)
            }
            Shape::List(element) => {
                if node.as_list().is_none() {
                    let whole = self.value(node, scope)?;
                    if whole.is_none() {
                        return Ok(whole);
                    }
                }
                let items = self.elements(node, scope)?;
                self.counted(&items.marks, node, &format!("`{}`", spec.name))?;
                let read = items.list.into_iter().map(|(value, span)| self.fit(value, &span, spec, element));
                gather(read).map(Value::list)
            }
            Shape::Scalar(_) | Shape::Choice(_) => {
                let value = self.value(node, scope)?;
                if value.is_none() { Ok(value) } else { self.fit(value, &node.span, spec, shape) }
            }
            Shape::Map(_) | Shape::Record(_) => match &node.kind {
                NodeKind::Map(entries) => {
                    let read = entries.iter().map(|entry| {
                        let value = self.value(&entry.value, scope)?;
                        let (spec, inner) = inner(spec, shape, &entry.key.value).ok_or(Reported)?;
                        Ok((Arc::from(entry.key.value.as_str()), self.fit(value, &entry.value.span, spec, inner)?))
                    });
                    gather(read).map(|entries| Data::Map(entries.into()).into())
                }
                NodeKind::List(_) | NodeKind::Scalar(_) => {
                    let value = self.value(node, scope)?;
                    if value.is_none() { Ok(value) } else { self.fit(value, &node.span, spec, shape) }
                }
            },
            Shape::Triggers(_) => Err(Reported),
        }
    }

    /// A value held against a shape; the fault stands at `span`.
    fn fit(&self, value: Value, span: &Span, spec: &FieldSpec, shape: &Shape) -> Read<Value> {
        if value.marks.is_secret() && !spec.secret {
            return Err(self.fault(
                Fault::new(span, format!("a secret may not stand in `{}`", spec.name))
                    .hint("a secret goes into a file's content or template, or the `environment` or `stdin` of a command in `steps`"),
            ));
        }
        if value.marks.is_secret() && matches!(value.data, Data::List(_) | Data::Map(_)) {
            return Err(self.fault(Fault::new(span, format!("a secret may not decide how many stand in `{}`", spec.name))));
        }
        let (tree, assumed) = (span.source().tree(), self.reads(&value.all_marks()));
        let wrong = |mismatch: Mismatch| {
            if assumed && !mismatch.is_of_type() {
                // Another value of the same type may be right.
                return Reported;
            }
            let mut fault = Fault::new(span, mismatch.to_string());
            fault.expected = mismatch.expected().map(str::to_owned);
            self.fault(fault)
        };
        match shape {
            Shape::Scalar(kind) => {
                // Secret bytes keep their text whatever the field's type: only content, environment and stdin come here.
                let kind = if value.marks.is_secret() { ScalarType::Text } else { *kind };
                to_scalar(&value, kind, tree).map_err(wrong)
            }
            Shape::Choice(words) => match as_text(&value.data) {
                Some(text) if words.contains(&text.as_str()) => Ok(Value { data: Data::Text(text.into()), marks: value.marks }),
                Some(_) if assumed => Err(Reported),
                found => {
                    let shown = found.unwrap_or_else(|| value.data.noun().to_owned());
                    Err(self.fault(
                        Fault::new(span, format!("`{shown}` is not one of the words that may stand here"))
                            .expected(literal::words(words.iter().copied()))
                            .nearest(&shown, words.iter().copied()),
                    ))
                }
            },
            Shape::List(element) => match value.data {
                Data::List(items) => gather(items.iter().map(|item| self.fit(item.clone(), span, spec, element))).map(Value::list),
                other => Err(self.fault(Fault::new(span, format!("{} stands here", other.noun())).expected("a list"))),
            },
            Shape::Map(_) | Shape::Record(_) => match value.data {
                Data::Map(entries) => {
                    let read = entries.iter().map(|(key, item)| {
                        let Some((spec, inner)) = inner(spec, shape, key) else {
                            return Err(self.fault(Fault::new(span, format!("unknown field `{key}`"))));
                        };
                        Ok((Arc::clone(key), self.fit(item.clone(), span, spec, inner)?))
                    });
                    gather(read).map(|entries| Data::Map(entries.into()).into())
                }
                other => Err(self.fault(Fault::new(span, format!("{} stands here", other.noun())).expected("a map"))),
            },
            Shape::Triggers(_) | Shape::Expression => Err(Reported),
        }
    }
}

/// The shape of an entry of a map or record, and whose rules it follows.
fn inner<'s>(spec: &'s FieldSpec, shape: &Shape, key: &str) -> Option<(&'s FieldSpec, &'static Shape)> {
    match shape {
        Shape::Map(value) => Some((spec, value)),
        Shape::Record(fields) => fields.iter().find(|field| field.name == key).map(|field| (field, &field.shape)),
        Shape::Scalar(_) | Shape::Choice(_) | Shape::List(_) | Shape::Triggers(_) | Shape::Expression => None,
    }
}

/// All of them, or that one was told wrong; none is left unread.
fn gather<T>(read: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let mut list = Vec::new();
    let mut failed = false;
    for one in read {
        match one {
            Ok(value) => list.push(value),
            Err(Reported) => failed = true,
        }
    }
    if failed { Err(Reported) } else { Ok(list) }
}
