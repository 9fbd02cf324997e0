//! The elements of a list or map, and what holds for all of them together.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Marks, Value};

/// The least that an element weighs, in bytes, beside its text.
pub(crate) const ELEMENT: usize = 16;

/// Elements that are shared, not copied: a clone costs nothing, however many there are. Their size and marks are added up once.
#[derive(Clone)]
pub struct Several<T> {
    elements: Arc<[T]>,
    size: usize,
    marks: Marks,
}

/// The elements of a list.
pub type List = Several<Value>;
/// The entries of a map, in written order.
pub type Map = Several<(Arc<str>, Value)>;

/// What stands in a list or map.
pub trait Element: Clone {
    /// Its value.
    fn value(&self) -> &Value;
    /// The bytes of its name.
    fn name(&self) -> usize;
}

impl Element for Value {
    fn value(&self) -> &Value {
        self
    }
    fn name(&self) -> usize {
        0
    }
}

impl Element for (Arc<str>, Value) {
    fn value(&self) -> &Value {
        &self.1
    }
    fn name(&self) -> usize {
        self.0.len()
    }
}

impl<T> Several<T> {
    /// How large all of them are, written out: bytes of their texts, and a little for each.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The marks of all of them.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }
}

impl<T: Element> From<Vec<T>> for Several<T> {
    fn from(elements: Vec<T>) -> Self {
        let (mut size, mut marks) = (0usize, Marks::default());
        for element in &elements {
            size = size.saturating_add(ELEMENT + element.name()).saturating_add(element.value().size());
            marks.join(&element.value().all_marks());
        }
        Self { elements: elements.into(), size, marks }
    }
}

impl<T: Element> FromIterator<T> for Several<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T> Deref for Several<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.elements
    }
}

/// How many: only a value knows whether it may be shown.
impl<T> fmt::Debug for Several<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements", self.elements.len())
    }
}

impl<'a, T> IntoIterator for &'a Several<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.elements.iter()
    }
}
