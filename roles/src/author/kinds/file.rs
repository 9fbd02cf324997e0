//! `file`: its fields, and what they shall be.

use super::read::normal_path;
use super::read::{Built, nothing_beside_absent, ownership, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule, Ways};
use super::values::Values;
use super::vocabulary::{ABSENT, GROUP, MODE, OWNER, PATH, SITE_PATH, STEPS, TEXT, TEXTS};
use crate::author::diagnostic::Fault;
use crate::resource::{Kind, file};
use crate::words::{Content, Mode, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "file",
    doc: "A file with its whole content.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        FieldSpec::new("content", TEXT, "Its content, with expressions.").secret(),
        FieldSpec::new("from", SITE_PATH, "A file of `files/`, taken byte by byte."),
        FieldSpec::new("template", SITE_PATH, "A file of `templates/`, rendered in the role's scope."),
        OWNER,
        GROUP,
        FieldSpec::new("mode", MODE, "Its mode; \"0644\" if not written, \"0600\" if it holds a secret."),
        FieldSpec::new("validate", TEXTS, "A command that must accept the new file, `%f`, before it takes the old one's place."),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOneUnlessAbsent(&["content", "from", "template"])],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        ways: &[Ways { inline: "content", from: "from", template: "template", becomes: "content" }],
        normal: normal_path,
        ..ResourceSpec::new(Kind::File, |values| Ok(path(values, "path")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

fn build(values: &Values) -> Built<file::Desired> {
    let path = path(values, "path")?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["path"])?;
        return Ok(file::Desired { path, present: None });
    }
    let content = values
        .content("content")
        .cloned()
        .ok_or_else(|| Box::new(Fault::new(&values.span, "the file has no content").expected("one of `content`, `from`, `template`")))?;
    let secret = matches!(content, Content::Secret(_));
    let ownership = ownership(values, if secret { Mode::PRIVATE } else { Mode::FILE })?;
    if secret && !ownership.mode.is_within(Mode::PRIVATE) {
        return Err(Box::new(
            Fault::new(values.span("mode"), format!("the file holds a secret, and {} lets others read it", ownership.mode))
                .expected("\"0600\" or less")
                .also(values.span("content"), "the secret"),
        ));
    }
    Ok(file::Desired { path, present: Some(file::Present { content, ownership, validate: values.texts("validate") }) })
}
