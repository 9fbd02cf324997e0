//! A body's fields when they have values: what a kind is built from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::author::source::Span;
use crate::author::value::{Data, Value, as_text};
use crate::catalog::Action;
use crate::words::{AbsPath, Bytes, Content, Mode, Version};

/// What was written in a field.
#[derive(Clone, Debug)]
pub(in crate::author) enum Written {
    /// A value of the field's shape.
    Value(Value),
    /// The content of a file, wherever it came from.
    Content(Content),
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::Content(a), Self::Content(b)) => a == b,
            (Self::Value(_), Self::Content(_)) | (Self::Content(_), Self::Value(_)) => false,
        }
    }
}

/// A field's value and where it was written.
#[derive(Clone, Debug)]
pub(in crate::author) struct Placed {
    pub(in crate::author) written: Written,
    pub(in crate::author) span: Span,
}

/// Evaluated fields, by name.
#[derive(Clone, Debug)]
pub(in crate::author) struct Values {
    /// The whole body.
    pub(in crate::author) span: Span,
    pub(in crate::author) fields: BTreeMap<&'static str, Placed>,
    /// Names of what it watches, by what their change causes.
    pub(in crate::author) triggers: BTreeMap<Action, Vec<(String, Span)>>,
}

impl Values {
    /// The value of a field, if written.
    pub(in crate::author) fn value(&self, name: &str) -> Option<&Value> {
        match &self.fields.get(name)?.written {
            Written::Value(value) => Some(value),
            Written::Content(_) => None,
        }
    }
    /// Where a field was written; the body where it was not.
    pub(in crate::author) fn span(&self, name: &str) -> &Span {
        self.fields.get(name).map_or(&self.span, |placed| &placed.span)
    }
    /// Its text.
    pub(in crate::author) fn text(&self, name: &str) -> Option<String> {
        self.value(name).and_then(|value| as_text(&value.data))
    }
    /// Whether it is written and true.
    pub(in crate::author) fn is_true(&self, name: &str) -> bool {
        self.boolean(name) == Some(true)
    }
    /// Its boolean.
    pub(in crate::author) fn boolean(&self, name: &str) -> Option<bool> {
        if let Data::Boolean(value) = self.value(name)?.data { Some(value) } else { None }
    }
    /// Its whole number.
    pub(in crate::author) fn integer(&self, name: &str) -> Option<i64> {
        if let Data::Integer(number) = self.value(name)?.data { Some(number) } else { None }
    }
    /// Its path.
    pub(in crate::author) fn path(&self, name: &str) -> Option<AbsPath> {
        if let Data::Path(path) = &self.value(name)?.data { Some(path.clone()) } else { None }
    }
    /// Its mode.
    pub(in crate::author) fn mode(&self, name: &str) -> Option<Mode> {
        if let Data::Mode(mode) = self.value(name)?.data { Some(mode) } else { None }
    }
    /// Its size.
    pub(in crate::author) fn bytes(&self, name: &str) -> Option<Bytes> {
        if let Data::Bytes(bytes) = self.value(name)?.data { Some(bytes) } else { None }
    }
    /// Its version.
    pub(in crate::author) fn version(&self, name: &str) -> Option<Version> {
        if let Data::Version(version) = &self.value(name)?.data { Some(version.clone()) } else { None }
    }
    /// Its content.
    pub(in crate::author) fn content(&self, name: &str) -> Option<&Content> {
        match &self.fields.get(name)?.written {
            Written::Content(content) => Some(content),
            Written::Value(_) => None,
        }
    }
    /// Its elements; none where it is not written.
    pub(in crate::author) fn list(&self, name: &str) -> Option<&[Value]> {
        if let Data::List(items) = &self.value(name)?.data { Some(items) } else { None }
    }
    /// The texts of its elements.
    pub(in crate::author) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.list(name).map(|items| items.iter().filter_map(|item| as_text(&item.data)).collect())
    }
    /// Its entries.
    pub(in crate::author) fn entries(&self, name: &str) -> &[(Arc<str>, Value)] {
        match self.value(name).map(|value| &value.data) {
            Some(Data::Map(entries)) => entries,
            Some(_) | None => &[],
        }
    }
}
