//! `git_cache`: its fields, and what they shall be.

use super::read::normal_path;
use super::read::{Built, owner, path};
use super::types::SiteFiles;
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule, ScalarType, Shape};
use super::values::{Placed, Values, Written};
use super::vocabulary::{INTEGER, NAME, PATH, SITE_PATH, STEPS, TEXTS, URLS};
use crate::author::diagnostic::{Fault, nearest};
use crate::author::value::{Data, Value};
use crate::resource::Kind;
use crate::resource::git_cache::{Desired, Source};
use crate::words::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "git_cache",
    doc: "Bare mirrors of a list of repositories.",
    places: STEPS,
    fields: &[
        FieldSpec::new("root", PATH, "The directory that holds them.").required().key(),
        FieldSpec::new("repositories", TEXTS, "Their names below each upstream: `openstack/nova`."),
        FieldSpec::new(
            "from",
            Shape::Record(&[
                FieldSpec::new("projects_yaml", SITE_PATH, "A projects.yaml: a list of `project: NAME`."),
                FieldSpec::new("list", SITE_PATH, "A file with one name a line; `#` begins a comment."),
            ]),
            "A file of the site that names them.",
        ),
        FieldSpec::new("upstreams", URLS, "Where they come from; tried in this order.").required(),
        FieldSpec::new("owner", NAME, "The user that owns them; root if not written."),
        FieldSpec::new("required", TEXTS, "Those without which the step fails; all if not written."),
        FieldSpec::new("workers", INTEGER, "How many are fetched at once; 8 if not written."),
        FieldSpec::new("layout", Shape::Choice(&["flat", "host"]), "Whether a host's name is the first directory.").later(),
        FieldSpec::new("host", Shape::Scalar(ScalarType::Host), "The host's name in the layout `host`.").later(),
        FieldSpec::new("budget", Shape::Scalar(ScalarType::Bytes), "The most they may take on the disk.").later(),
    ],
    rules: &[Rule::ExactlyOne(&["repositories", "from"])],
    deadline: Span::seconds(3 * 3_600),
    becomes: Becomes::Resource(ResourceSpec {
        reads: repositories,
        normal: normal_path,
        ..ResourceSpec::new(Kind::GitCache, |values| Ok(path(values, "root")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

/// How many are fetched at once where nothing is written.
const WORKERS: u16 = 8;

/// Turns `from` into `repositories`.
fn repositories(files: &dyn SiteFiles, values: &mut Values) -> Built<()> {
    let Some(placed) = values.fields.remove("from") else { return Ok(()) };
    let span = placed.span;
    let fail = |message: String, expected: &str| Err(Box::new(Fault::new(&span, message).expected(expected)));
    let one = if let Written::Value(Value { data: Data::Map(entries), .. }) = &placed.written {
        entries.first().filter(|_| entries.len() == 1)
    } else {
        None
    };
    let Some((form, Value { data: Data::SitePath(tree, file), .. })) = one else {
        return fail("`from` names one file".to_owned(), "`projects_yaml` or `list`");
    };
    let names: Vec<String> = if &**form == "projects_yaml" {
        match files.projects(*tree, file, &span)? {
            Some(names) => names.to_vec(),
            None => return fail(format!("`{file}` is not a list of projects"), "a list of `project: NAME`"),
        }
    } else {
        let lines = files.text(*tree, file, &span)?.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let list = Value::list(names.into_iter().map(|name| Value::text(Arc::<str>::from(name))).collect());
    values.fields.insert("repositories", Placed { written: Written::Value(list), span });
    Ok(())
}

/// A cache with every URL of every repository.
fn build(values: &Values) -> Built<Desired> {
    let fail = |field: &str, message: String| Box::new(Fault::new(values.span(field), message));
    let upstreams = values.texts("upstreams").unwrap_or_default();
    if upstreams.is_empty() {
        return Err(fail("upstreams", "the repositories come from nowhere".to_owned()));
    }
    let mut repositories = BTreeMap::new();
    for name in values.texts("repositories").unwrap_or_default() {
        if !is_repository(&name) {
            return Err(Box::new(*fail("repositories", format!("`{name}` is not a repository's name"))));
        }
        let urls = upstreams.iter().map(|upstream| format!("{}/{name}", upstream.trim_end_matches('/'))).collect();
        repositories.insert(name, Source { urls });
    }
    if repositories.is_empty() {
        return Err(fail("repositories", "the list of repositories is empty".to_owned()));
    }
    let required = match values.texts("required") {
        None => repositories.keys().cloned().collect(),
        Some(names) => {
            if let Some(unknown) = names.iter().find(|name| !repositories.contains_key(*name)) {
                let mut fault = fail("required", format!("`{unknown}` is not among the repositories"));
                fault.nearest = nearest(unknown, repositories.keys().map(String::as_str)).map(str::to_owned);
                return Err(fault);
            }
            names.into_iter().collect()
        }
    };
    let workers = match values.integer("workers") {
        None => WORKERS,
        Some(number) => u16::try_from(number)
            .ok()
            .filter(|workers| (1..=64).contains(workers))
            .ok_or_else(|| Box::new(fail("workers", format!("{number} at once")).expected("1 to 64")))?,
    };
    Ok(Desired { root: path(values, "root")?, repositories, owner: owner(values, "owner")?, required, workers })
}

/// A name below an upstream and below the root: relative, without `..`, no option of git.
fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~'))
    };
    name.len() <= 200 && name.split('/').all(part)
}
