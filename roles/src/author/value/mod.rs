//! Typed values and the marks that travel with them.

mod convert;
mod literal;
mod marks;
mod public_half;
mod several;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use convert::{Mismatch, as_text, to_param, to_scalar};
pub(crate) use convert::{admits, limits, order};
pub use literal::literal;
pub use marks::Marks;
pub use public_half::{PublicHalfError, public_half};
pub(crate) use several::ELEMENT;
pub use several::{Element, List, Map, Several};
pub(crate) use view::pair;
pub use view::{NodeView, facts_of_another, facts_value};

use super::source::Tree;
use crate::words::{AbsPath, Bytes, Mode, Percent, Span, Version};

/// Stands for the value of a secret that was not opened.
pub(crate) const SEALED: &str = "(a sealed secret)";
/// Stands for its public half.
pub(crate) const SEALED_PUBLIC: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A value with its marks. Lists and maps carry the marks of their elements on the elements.
#[derive(Clone)]
pub struct Value {
    /// The value.
    pub data: Data,
    /// Its marks.
    pub marks: Marks,
}

/// The shapes of a value.
#[derive(Clone)]
pub enum Data {
    /// Nothing was given.
    None,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any text: names, hosts, URLs, labels, keys too.
    Text(Arc<str>),
    /// A path on the node.
    Path(AbsPath),
    /// A path of the site or the library: of the tree it was written in.
    SitePath(Tree, Arc<str>),
    /// A version, compared as such.
    Version(Version),
    /// A size.
    Bytes(Bytes),
    /// A time.
    Duration(Span),
    /// A share.
    Percent(Percent),
    /// Permission bits.
    Mode(Mode),
    /// Several.
    List(List),
    /// Named ones, in written order.
    Map(Map),
    /// A machine of the inventory.
    Node(Arc<NodeView>),
}

impl Data {
    /// `a text`, `a size`, ...: how messages call it.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Text(_) => "a text",
            Self::Path(_) => "a path",
            Self::SitePath(..) => "a path of the site",
            Self::Version(_) => "a version",
            Self::Bytes(_) => "a size",
            Self::Duration(_) => "a time",
            Self::Percent(_) => "a share",
            Self::Mode(_) => "a mode",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Node(_) => "a node",
        }
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Self { data, marks: Marks::default() }
    }
}

impl Value {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Data::None.into()
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Data::Text(text.into()).into()
    }

    /// A whole number.
    #[must_use]
    pub fn integer(number: impl Into<i64>) -> Self {
        Data::Integer(number.into()).into()
    }

    /// A boolean.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Data::Boolean(value).into()
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Data::List(items.into()).into()
    }

    /// A map.
    #[must_use]
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Data::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()).into()
    }

    /// The same with further marks.
    #[must_use]
    pub fn marked(mut self, marks: &Marks) -> Self {
        self.marks.join(marks);
        self
    }

    /// The same, marked as this node's own.
    #[must_use]
    pub fn own(mut self) -> Self {
        self.marks.own = true;
        self
    }

    /// The same, marked as this machine's.
    #[must_use]
    pub fn of_machine(mut self) -> Self {
        self.marks.machine = true;
        self
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.data, Data::None)
    }

    /// Its marks and those of everything in it.
    #[must_use]
    pub fn all_marks(&self) -> Marks {
        let mut marks = self.marks.clone();
        match &self.data {
            Data::List(items) => marks.join(items.marks()),
            Data::Map(entries) => marks.join(entries.marks()),
            Data::None
            | Data::Boolean(_)
            | Data::Integer(_)
            | Data::Text(_)
            | Data::Path(_)
            | Data::SitePath(..)
            | Data::Version(_)
            | Data::Bytes(_)
            | Data::Duration(_)
            | Data::Percent(_)
            | Data::Mode(_)
            | Data::Node(_) => {}
        }
        marks
    }

    /// How large it is, written out: the bytes of its texts, and a little for each element.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.data {
            Data::Text(text) | Data::SitePath(_, text) => text.len(),
            Data::Path(path) => path.as_str().len(),
            Data::Version(version) => version.0.len(),
            Data::List(items) => items.size(),
            Data::Map(entries) => entries.size(),
            Data::None
            | Data::Boolean(_)
            | Data::Integer(_)
            | Data::Bytes(_)
            | Data::Duration(_)
            | Data::Percent(_)
            | Data::Mode(_)
            | Data::Node(_) => 0,
        }
    }

    /// How it is shown to people, on one line: masked if secret.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.marks.is_secret() {
            return "***".to_owned();
        }
        match &self.data {
            Data::List(items) => format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", ")),
            Data::Map(entries) => {
                format!("{{{}}}", entries.iter().map(|(key, value)| format!("{key}: {}", value.shown())).collect::<Vec<_>>().join(", "))
            }
            Data::Node(node) => node.name.to_string(),
            Data::None => "none".to_owned(),
            _ => as_text(&self.data).unwrap_or_default(),
        }
    }
}

/// Equal values of comparable types: a text is read as the other's type. Marks do not count.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::List(a), Data::List(b)) => **a == **b,
            (Data::Map(a), Data::Map(b)) => {
                let known: BTreeMap<&str, &Self> = b.iter().map(|(name, value)| (&**name, value)).collect();
                a.len() == b.len() && a.iter().all(|(key, value)| known.get(&**key).is_some_and(|other| *other == value))
            }
            (Data::Node(a), Data::Node(b)) => a.name == b.name,
            (Data::None, Data::None) => true,
            (Data::SitePath(a, path), Data::SitePath(b, other)) => a == b && path == other,
            (Data::Boolean(a), Data::Boolean(b)) => a == b,
            (Data::Mode(a), Data::Mode(b)) => a == b,
            (a, b) => convert::order(a, b) == Some(std::cmp::Ordering::Equal),
        }
    }
}

/// Its type alone: only a value knows whether it may be shown.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

/// Never shows a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.data.noun(), self.shown())
    }
}
