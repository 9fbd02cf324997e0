//! From joined fields to what a resource shall be: defaults fill in here, and names become words.

use std::collections::{BTreeMap, BTreeSet};

use super::caches;
use super::contents::{must, word, words};
use super::drafts::Draft;
use super::fields::Values;
use super::keys::{key_parts, owner};
use crate::author::diagnostic::Fault;
use crate::author::value::as_text;
use crate::resource::authorized_key::KeyBlob;
use crate::resource::{
    Desired, Kind, Ownership, authorized_key, command, directory, download, file, group, kernel_module, line, link, package, service,
    sysctl, user,
};
use crate::words::{AbsPath, AccountName, Content, Digest, Mode, ModuleName, PackageName, SysctlName, UnitName};

pub(super) type Built<T> = Result<T, Box<Fault>>;

/// What the resource of a draft shall be.
pub(super) fn desired(draft: &Draft<'_>, exclusive: &BTreeMap<String, BTreeSet<KeyBlob>>) -> Built<Desired> {
    let values = &draft.values;
    Ok(match draft.id.kind {
        Kind::Package => Desired::Package(package(draft)?),
        Kind::File => Desired::File(file(values)?),
        Kind::Directory => Desired::Directory(directory(values)?),
        Kind::Link => Desired::Link(link(values)?),
        Kind::User => Desired::User(user(values)?),
        Kind::Group => Desired::Group(group(values)?),
        Kind::AuthorizedKey => Desired::AuthorizedKey(authorized_key(values, exclusive)?),
        Kind::Line => Desired::Line(line(values)?),
        Kind::Service => Desired::Service(service(values)?),
        Kind::Sysctl => Desired::Sysctl(sysctl(values)?),
        Kind::KernelModule => Desired::KernelModule(kernel_module::Desired {
            name: must(values, "name", ModuleName::parse)?,
            absent: values.is_true("absent"),
        }),
        Kind::Command => Desired::Command(command(values)?),
        Kind::GitCache => Desired::GitCache(caches::git_cache(values)?),
        Kind::Download => Desired::Download(download(values)?),
    })
}

fn missing(values: &Values, field: &str) -> Box<Fault> {
    Box::new(Fault::new(&values.span, format!("`{field}` is missing")))
}

pub(super) fn path(values: &Values, field: &str) -> Built<AbsPath> {
    values.path(field).ok_or_else(|| missing(values, field))
}

fn package(draft: &Draft<'_>) -> Built<package::Desired> {
    let name = PackageName::parse(&draft.id.key).map_err(|error| Box::new(Fault::new(&draft.span, error.to_string())))?;
    let removed = draft.values.text("state").is_some_and(|state| state == "removed");
    let state = if removed { package::State::Removed } else { package::State::Installed { version: draft.values.version("version") } };
    Ok(package::Desired { name, state })
}

fn ownership(values: &Values, default: Mode) -> Built<Ownership> {
    Ok(Ownership {
        owner: owner(values, "owner")?,
        group: word(values, "group", AccountName::parse)?,
        mode: values.mode("mode").unwrap_or(default),
    })
}

/// What may not be written beside `absent`.
fn nothing_beside_absent(values: &Values, allowed: &[&str]) -> Built<()> {
    let other = values.fields.iter().find(|(name, _)| **name != "absent" && !allowed.contains(name));
    match other {
        Some((name, placed)) => {
            let fault = Fault::new(&placed.span, format!("`{name}` has no meaning for what must be absent"));
            Err(Box::new(fault.also(values.span("absent"), "absent")))
        }
        None => Ok(()),
    }
}

fn file(values: &Values) -> Built<file::Desired> {
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

fn directory(values: &Values) -> Built<directory::Desired> {
    let path = path(values, "path")?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["path"])?;
        return Ok(directory::Desired { path, present: None });
    }
    Ok(directory::Desired { path, present: Some(ownership(values, Mode::DIRECTORY)?) })
}

fn link(values: &Values) -> Built<link::Desired> {
    let path = path(values, "path")?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["path"])?;
        return Ok(link::Desired { path, to: None });
    }
    let to = values.text("to").filter(|to| !to.is_empty()).ok_or_else(|| missing(values, "to"))?;
    Ok(link::Desired { path, to: Some(to) })
}

/// A number of the account database.
fn number(values: &Values, field: &str) -> Built<Option<u32>> {
    let read = values.integer(field).map(|number| u32::try_from(number).ok().filter(|number| *number != u32::MAX));
    match read {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(Box::new(Fault::new(values.span(field), format!("this is no `{field}`")).expected("0 to 4294967294"))),
    }
}

fn user(values: &Values) -> Built<user::Desired> {
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

fn group(values: &Values) -> Built<group::Desired> {
    let name = must(values, "name", AccountName::parse)?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["name"])?;
        return Ok(group::Desired { name, present: None });
    }
    Ok(group::Desired { name, present: Some(group::Present { gid: number(values, "gid")?, system: values.is_true("system") }) })
}

fn authorized_key(values: &Values, exclusive: &BTreeMap<String, BTreeSet<KeyBlob>>) -> Built<authorized_key::Desired> {
    let user = must(values, "user", AccountName::parse)?;
    let (key, comment) = key_parts(values)?;
    let only = exclusive.get(user.as_str()).cloned();
    let options = values.texts("options").unwrap_or_default();
    if options.iter().any(|option| option.contains(['\n', '\r'])) {
        return Err(Box::new(Fault::new(values.span("options"), "an option has more than one line")));
    }
    Ok(authorized_key::Desired { user, key, comment, options: options.join(","), absent: values.is_true("absent"), only })
}

fn line(values: &Values) -> Built<line::Desired> {
    let text = values.text("line").ok_or_else(|| missing(values, "line"))?;
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err(Box::new(Fault::new(values.span("line"), "this is not one line").expected("a text without line ends, not empty")));
    }
    let replaces = values.text("replaces");
    if let Some(prefix) = replaces.as_ref().filter(|prefix| !text.starts_with(prefix.as_str())) {
        return Err(Box::new(
            Fault::new(values.span("line"), format!("the line does not begin with what it replaces, `{prefix}`"))
                .also(values.span("replaces"), "what it replaces")
                .hint("it would be replaced again at every run"),
        ));
    }
    Ok(line::Desired { path: path(values, "path")?, line: text, replaces, absent: values.is_true("absent") })
}

fn service(values: &Values) -> Built<service::Desired> {
    let unit = values.content("unit").cloned();
    if matches!(unit, Some(Content::Secret(_))) {
        return Err(Box::new(
            Fault::new(values.span("unit"), "a secret may not stand in a unit's file: every account can read it")
                .hint("put it into a file of its own and name that by `LoadCredential=` or `EnvironmentFile=`"),
        ));
    }
    let state = values.text("state").map(|state| if state == "stopped" { service::State::Stopped } else { service::State::Running });
    Ok(service::Desired {
        name: must(values, "name", UnitName::parse_service)?,
        unit,
        state,
        enabled: values.boolean("enabled"),
        check: values.texts("check"),
    })
}

fn sysctl(values: &Values) -> Built<sysctl::Desired> {
    let value = values.text("value").ok_or_else(|| missing(values, "value"))?;
    if value.contains(['\n', '\r']) {
        return Err(Box::new(Fault::new(values.span("value"), "the value has more than one line")));
    }
    Ok(sysctl::Desired { name: must(values, "name", SysctlName::parse)?, value })
}

/// Program and arguments: at least the program.
pub(super) fn argv(values: &Values, field: &str) -> Built<Option<Vec<String>>> {
    let Some(words) = values.texts(field) else { return Ok(None) };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(Some(words)),
        Some(_) | None => Err(Box::new(Fault::new(values.span(field), format!("`{field}` names no program")))),
    }
}

/// A command without the texts that may be secret; those are the caller's.
pub(super) fn command(values: &Values) -> Built<command::Desired> {
    let accept = values.list("accept").unwrap_or_default().iter().filter_map(|code| as_text(&code.data));
    let accept = accept.map(|code| code.parse::<i32>().ok().filter(|code| (0..=255).contains(code)));
    Ok(command::Desired {
        name: values.text("name").ok_or_else(|| missing(values, "name"))?,
        run: argv(values, "run")?.ok_or_else(|| missing(values, "run"))?,
        creates: values.path("creates"),
        unless: argv(values, "unless")?,
        environment: Vec::new(),
        run_as: word(values, "as", AccountName::parse)?,
        directory: values.path("directory"),
        stdin: None,
        accept: accept
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Box::new(Fault::new(values.span("accept"), "an exit code is out of range").expected("0 to 255")))?,
        stdout_to: values.path("stdout_to"),
    })
}

fn download(values: &Values) -> Built<download::Desired> {
    let url = values.text("url").ok_or_else(|| missing(values, "url"))?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Box::new(Fault::new(values.span("url"), format!("`{url}` cannot be fetched")).expected("`https://…` or `http://…`")));
    }
    Ok(download::Desired {
        path: path(values, "path")?,
        url,
        sha256: must(values, "sha256", Digest::parse)?,
        ownership: ownership(values, Mode::FILE)?,
    })
}
