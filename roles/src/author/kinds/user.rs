//! `user`: its fields, and what they shall be.

use super::read::{Built, must, nothing_beside_absent, number, word, words};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, BOOLEAN, INTEGER, NAME, NAMES, PATH, STEPS};
use crate::resource::{Kind, user};
use crate::words::{AccountName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "user",
    doc: "An account of the node.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name.").required().key(),
        FieldSpec::new("uid", INTEGER, "Its number; the next free one if not written."),
        FieldSpec::new("group", NAME, "Its first group; one of its own name if not written."),
        FieldSpec::new("groups", NAMES, "Further groups; it is added to them and stays in others."),
        FieldSpec::new(
            "home",
            PATH,
            "Its home directory; made when missing. Where none is written, a new account that is not `system` gets `/home/NAME`, and others keep theirs.",
        ),
        FieldSpec::new("shell", PATH, "Its login shell."),
        FieldSpec::new("system", BOOLEAN, "A system account: a low number, no ageing."),
        ABSENT,
    ],
    rules: &[],
    deadline: Span::seconds(120),
    becomes: Becomes::Resource(ResourceSpec::new(
        Kind::User,
        |values| Ok(must(values, "name", AccountName::parse)?.to_string()),
        |values, _| Ok(build(values)?.into()),
    )),
};

fn build(values: &Values) -> Built<user::Desired> {
    let name = must(values, "name", AccountName::parse)?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["name"])?;
        return Ok(user::Desired { name, present: None });
    }
    let present = user::Present {
        uid: number(values, "uid")?,
        group: word(values, "group", AccountName::parse)?,
        groups: words(values, "groups", AccountName::parse)?.into_iter().collect(),
        home: values.path("home"),
        shell: values.path("shell"),
        system: values.is_true("system"),
    };
    Ok(user::Desired { name, present: Some(present) })
}
