//! `git_cache`: the list of repositories, from a role or from a file of the site.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{Built, path};
use super::context::{Context, Read, Reported};
use super::fields::{Placed, Values, Written};
use super::keys::owner;
use crate::author::diagnostic::{Fault, nearest};
use crate::author::value::{Data, Value};
use crate::resource::git_cache::{Desired, Source};

/// How many are fetched at once where nothing is written.
const WORKERS: u16 = 8;

impl Context<'_> {
    /// Turns `from` into `repositories`.
    pub(super) fn repositories(&self, values: &mut Values) -> Read<()> {
        let Some(placed) = values.fields.remove("from") else { return Ok(()) };
        let Written::Value(Value { data: Data::Map(entries), .. }) = &placed.written else { return Err(Reported) };
        let [(form, value)] = &entries[..] else {
            return Err(self.fault(Fault::new(&placed.span, "`from` names one file").expected("`projects_yaml` or `list`")));
        };
        let Data::SitePath(tree, file) = &value.data else { return Err(Reported) };
        let entry = self.entry(*tree, file, "files/", &placed.span)?;
        let names: Vec<String> = if &**form == "projects_yaml" {
            match &entry.projects {
                Some(names) => names.to_vec(),
                None => {
                    return Err(self.fault(
                        Fault::new(&placed.span, format!("`{file}` is no list of projects")).expected("a list of `project: NAME`"),
                    ));
                }
            }
        } else {
            let Some(text) = &entry.text else {
                return Err(self.fault(Fault::new(&placed.span, format!("`{file}` is no text")).expected("one name a line")));
            };
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let list = Value::list(names.into_iter().map(|name| Value::text(Arc::<str>::from(name))).collect());
        values.fields.insert("repositories", Placed { written: Written::Value(list), span: placed.span });
        Ok(())
    }
}

/// A cache with every URL of every repository.
pub(super) fn git_cache(values: &Values) -> Built<Desired> {
    let fail = |field: &str, message: String| Box::new(Fault::new(values.span(field), message));
    let upstreams = values.texts("upstreams").unwrap_or_default();
    if upstreams.is_empty() {
        return Err(fail("upstreams", "the repositories come from nowhere".to_owned()));
    }
    let mut repositories = BTreeMap::new();
    for name in values.texts("repositories").unwrap_or_default() {
        if !is_repository(&name) {
            return Err(Box::new(*fail("repositories", format!("`{name}` is no repository's name"))));
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
