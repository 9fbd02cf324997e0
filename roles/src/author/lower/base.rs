//! `base` of an image: what it stands on.

use crate::author::diagnostic::{Fault, Faults};
use crate::author::image::{Base, DiskSource, SUITES};
use crate::author::kinds::ScalarType;
use crate::author::kinds::image::{BASE, BASE_RULES};
use crate::author::literal::words;
use crate::author::role::Fields;
use crate::author::source::{Node, Span, Spanned};
use crate::author::text;
use crate::words::{AbsPath, Digest};

use super::image::{scalar, table};
use super::read::{self, Spelling};

/// How a digest is come by.
const DIGEST: &str = "the publisher's SHA256SUMS names it, or `sha256sum FILE` of one that you trust";

/// Reads `base`; none when what it stands on cannot be told.
pub(super) fn base(node: &Node, faults: &mut Faults) -> Option<Spanned<Base>> {
    let fields = table(node, "`base`", (BASE, BASE_RULES), faults);
    let sha256 = fields.get("sha256").and_then(Node::as_scalar).and_then(|scalar| Digest::parse(&scalar.text).ok());
    let [(key, value), ..] =
        fields.list.iter().filter(|field| field.spec.name != "sha256").map(|field| (field.spec.name, &field.value)).collect::<Vec<_>>()[..]
    else {
        return None;
    };
    if let (Some(digest), "debootstrap" | "image") = (fields.get("sha256"), key) {
        let fault = Fault::new(&digest.span, format!("`sha256` means nothing beside `{key}`"));
        let why = if key == "image" { "an image knows what it was made of" } else { "its packages are proved by their repository's key" };
        faults.push(fault.hint(format!("leave it out: {why}")));
    }
    let found = match key {
        "debootstrap" => debootstrap(value, faults),
        "cloud_image" => cloud_image(value, &fields, sha256, faults).map(|base| (base, value.span.clone())),
        "tree" => tree(value, sha256, faults).map(|base| (base, value.span.clone())),
        _ => {
            let written = read::text(value, "an image's name", &mut Faults::new())?;
            read::name(&written, "an image's name", Spelling::Image, faults).map(|name| (Base::Image(name.value), name.span))
        }
    };
    found.map(|(base, span)| Spanned::new(base, span))
}

/// `debootstrap: {suite, mirrors, components}`.
fn debootstrap(node: &Node, faults: &mut Faults) -> Option<(Base, Span)> {
    let none_named = |key: &str, faults: &mut Faults| {
        if let Some(list) = node.get(key).filter(|list| list.as_list().is_some_and(<[Node]>::is_empty)) {
            let fault = Fault::new(&list.span, format!("`{key}` names nothing"));
            faults.push(fault.hint(format!("leave `{key}` out for what the builder's own apt configuration names")));
        }
    };
    none_named("mirrors", faults);
    none_named("components", faults);
    let texts = |key: &str| -> Vec<String> {
        let items = node.get(key).and_then(Node::as_list).unwrap_or_default();
        items.iter().filter_map(|item| item.as_scalar().map(|scalar| scalar.text.clone())).collect()
    };
    let components = match node.get("components").filter(|list| list.as_list().is_some()) {
        // Whether each is a text at all was told by the table.
        Some(list) => read::names(list, "a component", Spelling::Component, faults).into_iter().map(|name| name.value).collect(),
        None => Vec::new(),
    };
    let suite = read::text(node.get("suite")?, "a suite", &mut Faults::new())?;
    let known = || SUITES.iter().map(|(suite, _)| *suite);
    if !known().any(|one| one == suite.value) {
        let fault = Fault::new(&suite.span, format!("unknown suite `{}`", suite.value));
        faults.push(fault.expected(words(known())).nearest(&suite.value, known()));
    }
    Some((Base::Debootstrap { suite: suite.value, mirrors: texts("mirrors"), components }, suite.span))
}

/// `cloud_image: URL` with its digest, or a file.
fn cloud_image(node: &Node, fields: &Fields, sha256: Option<Digest>, faults: &mut Faults) -> Option<Base> {
    let text = scalar(node, ScalarType::Text, faults)?;
    let Some((scheme, _)) = text.split_once("://") else {
        return file(node, text, "the image's file", faults).map(|file| Base::CloudImage { from: DiskSource::File(file), sha256 });
    };
    scalar(node, ScalarType::Url, faults)?;
    if !matches!(scheme, "https" | "http") {
        let fault =
            Fault::new(&node.span, format!("nothing is fetched by {scheme}")).expected("`https://…`, or a file below the site or absolute");
        faults.push(match text.strip_prefix("file://") {
            Some(path) => fault.hint(format!("write `cloud_image: {path}`")),
            None => fault,
        });
    } else if fields.get("sha256").is_none() {
        let message = if scheme == "http" {
            "by plain http anybody on the way decides what the image is, and no `sha256` says what it shall be"
        } else {
            "what is fetched wants a `sha256`"
        };
        faults.push(Fault::new(&node.span, message).hint(format!("add `sha256: \"DIGEST\"` beside it: {DIGEST}")));
    }
    Some(Base::CloudImage { from: DiskSource::Url(text.to_owned()), sha256 })
}

/// `tree: PATH`.
fn tree(node: &Node, sha256: Option<Digest>, faults: &mut Faults) -> Option<Base> {
    let text = scalar(node, ScalarType::Text, faults)?;
    if text.contains("://") {
        let fault = Fault::new(&node.span, "a tree is not fetched").expected("a directory or an archive of this machine");
        faults.push(fault.hint("fetch the archive first, and name it with its `sha256`; a disk that is fetched is a `cloud_image`"));
        return None;
    }
    file(node, text, "the tree", faults).map(|path| Base::Tree { path, sha256 })
}

/// A path of this machine: below the site, or absolute.
fn file(node: &Node, text: &str, what: &str, faults: &mut Faults) -> Option<String> {
    let judged = if text.starts_with('/') {
        AbsPath::parse(text).map(|path| path.as_str().to_owned()).map_err(|error| error.to_string())
    } else {
        text::check(ScalarType::SitePath, text).map(|()| text.to_owned()).map_err(|error| error.to_string())
    };
    match judged {
        Ok(path) if path != "/" => Some(path),
        Ok(_) => {
            faults.push(
                Fault::new(&node.span, "the root of this machine is no base").expected("a directory or file below the site, or absolute"),
            );
            None
        }
        Err(message) => {
            let fault = Fault::new(&node.span, message).expected("a path below the site, or an absolute one");
            faults.push(if text.starts_with("../") { fault.hint(format!("write where {what} is from `/` on")) } else { fault });
            None
        }
    }
}
