//! A role as meant: names checked, shapes checked, expressions still inside the values.
//!
//! What can only be known with a node's variables and facts (values, `when`, `each`) stays a [`Node`] with its place.

use super::kinds::{FieldSpec, KindSpec, ScalarType};
use super::source::{Key, Node, Span, Spanned, Tree};

/// A name, checked to be one, and its place.
pub type Name = Spanned<String>;

/// A role: what a node should be in one respect.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name, which is the file's.
    pub name: Name,
    /// Which tree it comes from; paths in it are relative to that.
    pub tree: Tree,
    /// Written `replaces: library`: it hides the library role of the same name.
    pub replaces_library: Option<Span>,
    /// One sentence.
    pub summary: Spanned<String>,
    /// Roles that come first, with the parameters it passes.
    pub needs: Vec<Need>,
    /// Typed inputs, in written order.
    pub params: Vec<Param>,
    /// Words that differ by distribution.
    pub by_system: Vec<SystemWord>,
    /// Whether all of `needs`, `params` and `by_system` could be read: else what is in scope is not known.
    pub names_read: bool,
    /// Whether all of it could be read.
    pub whole: bool,
    /// Checks before anything is changed.
    pub require: Vec<Step>,
    /// Resources, in order.
    pub steps: Vec<Step>,
    /// What the master may run here.
    pub executors: Vec<Executor>,
    /// Labels for every executor of the node; each a text with expressions.
    pub labels: Vec<Node>,
    /// Checks after the steps.
    pub verify: Vec<Step>,
    /// Commands run as a job before the label is attached.
    pub smoke: Vec<Step>,
}

impl Role {
    /// The parameter of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name.value == name)
    }
}

/// One entry of `needs`, or of `vars`: a role and values for its parameters.
#[derive(Clone, Debug)]
pub struct Need {
    /// The role.
    pub role: Name,
    /// Values for its parameters, in written order.
    pub values: Vec<Setting>,
}

/// `NAME: VALUE`. The value may hold expressions.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The name and its place.
    pub name: Name,
    /// The value as written.
    pub value: Node,
}

/// A parameter, or a field of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub kind: Type,
    /// The value when nobody sets it; may hold expressions. Literal parts are checked against the type.
    pub default: Option<Node>,
    /// May be none.
    pub optional: bool,
    /// The only values allowed (of the elements, for a list or map); literals.
    pub choices: Vec<Node>,
    /// The least value allowed; a literal of the type.
    pub at_least: Option<Node>,
    /// The greatest value allowed; a literal of the type.
    pub at_most: Option<Node>,
    /// What it is for.
    pub help: Option<String>,
}

/// A parameter's type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Type {
    /// One value.
    Scalar(ScalarType),
    /// `{min, max}` of the API of a service; `max` may be `latest`.
    Microversions,
    /// `list(T)`.
    List(Box<Type>),
    /// `map(T)`: keys are texts.
    Map(Box<Type>),
    /// `record` with `fields`.
    Record(Vec<Param>),
}

/// A word that differs by distribution.
#[derive(Clone, Debug)]
pub struct SystemWord {
    /// The word.
    pub name: Name,
    /// `ID-VERSION`, `ID` or family, with a text or a list of texts; constants.
    pub entries: Vec<(Key, Node)>,
}

/// A step, a block of steps, or a check.
#[derive(Clone, Debug)]
pub struct Step {
    /// The whole step.
    pub span: Span,
    /// What it does.
    pub action: Action,
    /// Left out unless this bare expression is true.
    pub when: Option<Expression>,
    /// Once for each element.
    pub each: Option<Each>,
    /// Its deadline; a duration, perhaps with expressions.
    pub within: Option<Node>,
    /// May change while jobs run.
    pub while_busy: bool,
    /// Never baked into an image.
    pub live: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// One resource (or one for each element of a list in it), or one check.
    Resource(Body),
    /// Steps in order that share the step words.
    Steps(Vec<Step>),
    /// Steps that may run at once.
    Together(Vec<Step>),
}

/// A bare expression as written, with the node it stands in (see [`Node::part`] for places inside).
#[derive(Clone, Debug)]
pub struct Expression {
    /// The text of the expression.
    pub text: String,
    /// Where the expression begins in the unquoted text of `node` (0 for a whole scalar).
    pub offset: usize,
    /// The scalar it stands in.
    pub node: Node,
}

/// `each: NAME in EXPR`.
#[derive(Clone, Debug)]
pub struct Each {
    /// The loop's name.
    pub name: Name,
    /// What it goes over.
    pub over: Expression,
}

/// The body of a resource, a check: fields known to the kind's table, literals checked against it.
#[derive(Clone, Debug)]
pub struct Body {
    /// The kind.
    pub kind: &'static KindSpec,
    /// Where the kind's word was written.
    pub kind_span: Span,
    /// Its fields.
    pub fields: Fields,
}

/// Fields in written order, each known to its table, none twice, required ones present.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The whole map.
    pub span: Span,
    /// The fields.
    pub list: Vec<Field>,
}

impl Fields {
    /// The value of the field, if written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.list.iter().find(|field| field.spec.name == name).map(|field| &field.value)
    }
}

/// One field as written.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its line of the table.
    pub spec: &'static FieldSpec,
    /// Where its name was written.
    pub key: Span,
    /// The value, expressions still inside.
    pub value: Node,
}

/// One executor of a role; fields as in [`super::kinds::EXECUTOR`].
#[derive(Clone, Debug)]
pub struct Executor {
    /// `master`, `user`, `count`, `alone`, `jobs`, `labels`, `remote_fs`, `launch`, `credential`, `name`.
    pub fields: Fields,
}
