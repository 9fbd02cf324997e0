//! The shapes of the table's rows.

use super::Place;
use super::read::Built;
use super::values::Values;
use crate::author::diagnostic::Faults;
use crate::author::role::{Body, Fields};
pub use crate::author::scalar::ScalarType;
use crate::author::source::{self, Tree};
use crate::author::value::Value;
use crate::catalog::Action;
use crate::check::Check;
use crate::facts::Facts;
use crate::resource::{Desired, Kind};
use crate::words::{AbsPath, Sensitive, Span};

/// The shape of a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One value.
    Scalar(ScalarType),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of such; a `{{ list }}` in it is spliced.
    List(&'static Shape),
    /// A map from texts to such.
    Map(&'static Shape),
    /// A map with these fields.
    Record(&'static [FieldSpec]),
    /// A list of resource names, `KIND KEY`, and what a change of one causes.
    Triggers(Action),
    /// A bare expression.
    Expression,
}

/// A field of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Must be written.
    pub required: bool,
    /// Part of the resource's name: no secret, no given value.
    pub key: bool,
    /// May hold a secret.
    pub secret: bool,
    /// Known, but not read by this release.
    pub later: bool,
    /// What it is for; one sentence.
    pub doc: &'static str,
}

impl FieldSpec {
    /// A field that may be left out.
    pub(super) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, key: false, secret: false, later: false, doc }
    }

    /// The same, but it must be written.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, and it is part of the name.
    pub(super) const fn key(mut self) -> Self {
        self.key = true;
        self
    }

    /// The same, and it may hold a secret.
    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The same, but not in this release.
    pub(super) const fn later(mut self) -> Self {
        self.later = true;
        self
    }
}

/// A relation between fields that needs no values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Exactly one of them is written.
    ExactlyOne(&'static [&'static str]),
    /// At least one of them is written.
    AtLeastOne(&'static [&'static str]),
    /// At most one of them is written.
    AtMostOne(&'static [&'static str]),
    /// The first is written only beside the second.
    With(&'static str, &'static str),
    /// Exactly one of them, unless `absent` is written.
    ExactlyOneUnlessAbsent(&'static [&'static str]),
}

/// A kind's table, and how its bodies become what a catalog holds.
#[derive(Clone, Copy, Debug)]
pub struct KindSpec {
    /// The word people write.
    pub word: &'static str,
    /// What it is; one sentence.
    pub doc: &'static str,
    /// Where it may stand.
    pub places: &'static [Place],
    /// Its fields.
    pub fields: &'static [FieldSpec],
    /// Relations between them.
    pub rules: &'static [Rule],
    /// Its deadline where none is written.
    pub deadline: Span,
    /// What its bodies become.
    pub(in crate::author) becomes: Becomes,
}

/// What the bodies of a kind become.
#[derive(Clone, Copy, Debug)]
pub(in crate::author) enum Becomes {
    /// Resources of a catalog.
    Resource(ResourceSpec),
    /// A check.
    Check(CheckSpec),
}

/// How a body becomes resources.
#[derive(Clone, Copy, Debug)]
pub(in crate::author) struct ResourceSpec {
    /// Its kind.
    pub(in crate::author) kind: Kind,
    /// The fields that say a file's bytes.
    pub(in crate::author) ways: &'static [Ways],
    /// Reads what fields name in the site, and puts it in their place.
    pub(in crate::author) reads: fn(&dyn SiteFiles, &mut Values) -> Built<()>,
    /// The resources in one body, each with its own fields; usually one.
    pub(in crate::author) split: fn(Values) -> Built<Vec<Values>>,
    /// What one is called among those of its kind.
    pub(in crate::author) key: fn(&Values) -> Built<String>,
    /// A key that somebody wrote, in the form that `key` gives.
    pub(in crate::author) normal: fn(&str) -> String,
    /// What one shall be. Defaults fill in here, and names become words.
    pub(in crate::author) build: fn(&Values, &dyn Building) -> Built<Desired>,
    /// What each has to know of all others of its kind on the node.
    pub(in crate::author) joint: fn(&mut [(&Values, &mut Desired)]),
    /// What is asked of the node before anything changes, so that this can be made.
    pub(in crate::author) asks: fn(&Desired) -> Option<Check>,
}

impl ResourceSpec {
    /// One resource a body, of inline fields only.
    pub(super) const fn new(kind: Kind, key: fn(&Values) -> Built<String>, build: fn(&Values, &dyn Building) -> Built<Desired>) -> Self {
        Self {
            kind,
            ways: &[],
            reads: |_, _| Ok(()),
            split: |values| Ok(vec![values]),
            key,
            normal: str::to_owned,
            build,
            joint: |_| {},
            asks: |_| None,
        }
    }
}

/// How a body becomes a check.
#[derive(Clone, Copy, Debug)]
pub(in crate::author) struct CheckSpec {
    /// What must hold.
    pub(in crate::author) build: fn(&Values, &Fields, &dyn Building) -> Built<Check>,
    /// What can be said of a body as it is written, beyond its table.
    pub(in crate::author) early: fn(&Body, Place, &mut Faults),
}

impl CheckSpec {
    /// A check of which its table says all that can be said early.
    pub(super) const fn new(build: fn(&Values, &Fields, &dyn Building) -> Built<Check>) -> Self {
        Self { build, early: |_, _, _| {} }
    }
}

/// Fields that say a file's bytes: inline, verbatim, rendered; and the field they become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::author) struct Ways {
    pub(in crate::author) inline: &'static str,
    pub(in crate::author) from: &'static str,
    pub(in crate::author) template: &'static str,
    pub(in crate::author) becomes: &'static str,
}

/// Files of the site that a kind reads for itself. A file that is not there is a fault.
pub(in crate::author) trait SiteFiles {
    /// The names in a projects.yaml below `files/`; none: it is no list of projects.
    fn projects(&self, tree: Tree, path: &str, span: &source::Span) -> Built<Option<&[String]>>;
    /// The text of a file below `files/`.
    fn text(&self, tree: Tree, path: &str, span: &source::Span) -> Built<&str>;
}

/// What building may ask of the compilation.
pub(in crate::author) trait Building {
    /// A text that may be secret.
    fn sensitive(&self, value: &Value) -> Sensitive;
    /// What is known of the node.
    fn facts(&self) -> Option<&Facts>;
    /// The node's number of executors.
    fn executors(&self) -> u32;
}

impl KindSpec {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether it is a check: observed and never applied.
    #[must_use]
    pub fn is_check(&self) -> bool {
        matches!(self.becomes, Becomes::Check(_))
    }

    /// Whether it may stand there.
    #[must_use]
    pub fn allowed_in(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// Where a resource stands in the tree of files: the path in its name.
    pub(in crate::author) fn path(&self, values: &Values) -> Option<AbsPath> {
        let field = self.fields.iter().find(|field| field.key && field.shape == Shape::Scalar(ScalarType::Path))?;
        values.path(field.name)
    }
}
