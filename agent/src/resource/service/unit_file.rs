//! Which file a unit's name means: the first of its directories, through aliases, with the masks in front of it (systemd.unit(5)).

use crate::host::{EntryKind, Host, OsError};
use ostler_roles::words::{AbsPath, UNIT_DIRECTORIES, UnitName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Unit files are small.
const CAP: u64 = 4 << 20;
/// An alias may be one of an alias; who goes in circles has no file.
const ALIASES: usize = 8;

/// A unit by its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitFile {
    /// Its own name, where it was asked for by another.
    pub(super) name: UnitName,
    /// Its file, or its template's; none: there are only masks.
    pub(super) path: Option<PathBuf>,
    /// Masks that stand before the file.
    pub(super) masks: Vec<AbsPath>,
}

/// What one name leads to.
enum Way {
    Nowhere,
    File(PathBuf),
    Alias(UnitName),
}

/// The unit of this name; none: there is neither a file nor a mask.
pub(super) fn find(host: &Host, name: &UnitName) -> Result<Option<UnitFile>, OsError> {
    let mut name = name.clone();
    let mut masks = Vec::new();
    for _ in 0..ALIASES {
        match way(host, &name, &mut masks)? {
            Way::Alias(other) => name = other,
            Way::File(path) => return Ok(Some(UnitFile { name, path: Some(path), masks })),
            Way::Nowhere if masks.is_empty() => break,
            Way::Nowhere => return Ok(Some(UnitFile { name, path: None, masks })),
        }
    }
    Ok(None)
}

/// The unit that would have this name if it were enabled: `sshd.service` is a name of Debian's ssh.service only then.
pub(super) fn find_by_install(host: &Host, name: &UnitName) -> Result<Option<UnitName>, OsError> {
    let suffix = name.as_str().rsplit('.').next().unwrap_or_default();
    for directory in UNIT_DIRECTORIES {
        for entry in host.list(Path::new(directory))?.unwrap_or_default() {
            let Some(other) = entry.to_str().filter(|entry| entry.ends_with(suffix)).and_then(|entry| UnitName::parse(entry).ok()) else {
                continue;
            };
            let path = Path::new(directory).join(&entry);
            let is_file = host.look(&path)?.is_some_and(|found| found.kind == EntryKind::File);
            if is_file && super::install::Install::of([text(host, &path)?]).is_alias(&other, name) {
                return Ok(Some(other));
            }
        }
    }
    Ok(None)
}

fn way(host: &Host, name: &UnitName, masks: &mut Vec<AbsPath>) -> Result<Way, OsError> {
    for path in name.files_by_name() {
        let Some(entry) = host.look(path.as_path())? else { continue };
        if is_mask(host, path.as_path())? {
            masks.push(path);
        } else if entry.kind == EntryKind::Link {
            let target = host.read_link(path.as_path())?.unwrap_or_default();
            let target = target.file_name().and_then(|target| target.to_str()).unwrap_or_default();
            return Ok(alias(name, target).map_or_else(|| Way::File(path.as_path().to_owned()), Way::Alias));
        } else {
            return Ok(Way::File(path.as_path().to_owned()));
        }
    }
    Ok(Way::Nowhere)
}

/// The unit that a link of this name to a file of that name is an alias of; none: it is the unit itself, from elsewhere or by its template.
fn alias(name: &UnitName, target: &str) -> Option<UnitName> {
    let target = UnitName::parse(target).ok()?;
    let target = match (target.as_str().split_once("@."), name.instance()) {
        (Some((prefix, suffix)), Some(instance)) => UnitName::parse(&format!("{prefix}@{instance}.{suffix}")).ok()?,
        _ => target,
    };
    let same_kind = target.as_str().rsplit('.').next() == name.as_str().rsplit('.').next();
    (same_kind && target != *name && Some(target.as_str()) != name.template().as_deref()).then_some(target)
}

/// Whether the link at `path`, which has this name among units, is another name of `unit`.
pub(super) fn leads_to(host: &Host, path: &Path, name: &str, unit: &UnitName) -> Result<bool, OsError> {
    let target = host.read_link(path)?.unwrap_or_default();
    let target = target.file_name().and_then(|target| target.to_str()).unwrap_or_default();
    Ok(UnitName::parse(name).is_ok_and(|name| alias(&name, target).as_ref() == Some(unit)))
}

/// A link to /dev/null, or an empty file.
fn is_mask(host: &Host, path: &Path) -> Result<bool, OsError> {
    Ok(match host.look(path)? {
        Some(entry) if entry.kind == EntryKind::Link => host.read_link(path)?.is_some_and(|target| target == Path::new("/dev/null")),
        Some(entry) => entry.kind == EntryKind::File && entry.length == 0,
        None => false,
    })
}

/// The texts that make the unit up: its file, and what is added to it, in order. Of two additions of one name the first counts.
pub(super) fn texts(host: &Host, unit: &UnitFile) -> Result<Vec<String>, OsError> {
    let Some(path) = &unit.path else { return Ok(Vec::new()) };
    let mut texts = vec![text(host, path)?];
    let mut added: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
    for directory in unit.name.files_by_name() {
        let directory = PathBuf::from(format!("{directory}.d"));
        for name in host.list(&directory)?.unwrap_or_default() {
            if name.to_string_lossy().ends_with(".conf") {
                added.entry(name.clone()).or_insert_with(|| directory.join(name));
            }
        }
    }
    for path in added.values() {
        if !is_mask(host, path)? {
            texts.push(text(host, path)?);
        }
    }
    Ok(texts)
}

fn text(host: &Host, path: &Path) -> Result<String, OsError> {
    Ok(String::from_utf8_lossy(&host.read_through(path, CAP)?.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Tree;
    use super::*;

    fn found(tree: &Tree, name: &str) -> Option<(String, Option<String>, Vec<String>)> {
        let unit = find(&tree.host(), &UnitName::parse_service(name).unwrap()).unwrap()?;
        let path = unit.path.map(|path| path.display().to_string());
        Some((unit.name.to_string(), path, unit.masks.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn a_name_leads_through_aliases_and_beneath_masks() {
        let tree = Tree::new();
        for unit in ["ssh.service", "foo@.service", "bar@.service", "masked.service", "twice.service"] {
            tree.file(&format!("usr/lib/systemd/system/{unit}"), "[Service]\n");
        }
        tree.link("/lib/systemd/system/ssh.service", "etc/systemd/system/sshd.service");
        tree.link("foo@.service", "etc/systemd/system/foo@1.service");
        tree.link("foo@.service", "usr/lib/systemd/system/other@.service");
        tree.link("/dev/null", "etc/systemd/system/masked.service");
        tree.file("etc/systemd/system/twice.service", "");
        tree.link("/dev/null", "run/systemd/system/twice.service");
        tree.link("/dev/null", "etc/systemd/system/nothing.service");
        tree.link("b.service", "etc/systemd/system/a.service");
        tree.link("a.service", "etc/systemd/system/b.service");
        let at = |unit: &str, file: &str, masks: &[&str]| {
            let masks = masks.iter().map(|mask| format!("{mask}/{unit}")).collect();
            Some((unit.to_owned(), Some(format!("/usr/lib/systemd/system/{file}")), masks))
        };
        assert_eq!(found(&tree, "ssh"), at("ssh.service", "ssh.service", &[]));
        assert_eq!(found(&tree, "sshd"), found(&tree, "ssh"));
        assert_eq!(found(&tree, "bar@x"), at("bar@x.service", "bar@.service", &[]));
        assert_eq!(found(&tree, "other@x"), at("foo@x.service", "foo@.service", &[]));
        let (name, path, _) = found(&tree, "foo@1").unwrap();
        assert_eq!((name.as_str(), path.as_deref()), ("foo@1.service", Some("/etc/systemd/system/foo@1.service")));
        assert_eq!(found(&tree, "masked"), at("masked.service", "masked.service", &["/etc/systemd/system"]));
        assert_eq!(found(&tree, "twice"), at("twice.service", "twice.service", &["/etc/systemd/system", "/run/systemd/system"]));
        let nothing = (String::from("nothing.service"), None, vec![String::from("/etc/systemd/system/nothing.service")]);
        assert_eq!(found(&tree, "nothing"), Some(nothing));
        assert_eq!((found(&tree, "none"), found(&tree, "a")), (None, None));
    }

    #[test]
    fn the_administrators_file_stands_before_a_mask_until_the_next_boot() {
        let tree = Tree::new();
        tree.file("etc/systemd/system/own.service", "[Service]\n");
        tree.link("/dev/null", "run/systemd/system/own.service");
        assert_eq!(found(&tree, "own").unwrap().2, Vec::<String>::new());
    }

    #[test]
    fn a_name_that_only_enabling_would_make_is_found_by_the_unit_that_asks_for_it() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/ssh.service", "[Service]\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n");
        tree.file("usr/lib/systemd/system/cron.service", "[Unit]\nAlias=sshd2.service\n");
        let by = |name: &str| find_by_install(&tree.host(), &UnitName::parse_service(name).unwrap()).unwrap();
        assert_eq!(by("sshd").unwrap().as_str(), "ssh.service");
        assert_eq!((by("sshd2"), by("ssh")), (None, None));
    }

    #[test]
    fn what_is_added_to_a_unit_is_read_behind_it_by_the_order_of_directories() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/foo@.service", "file");
        tree.file("usr/lib/systemd/system/foo@.service.d/10-a.conf", "vendor's 10");
        tree.file("etc/systemd/system/foo@1.service.d/20-b.conf", "own 20");
        tree.file("etc/systemd/system/foo@.service.d/10-a.conf", "own 10");
        tree.file("etc/systemd/system/foo@.service.d/readme", "no");
        tree.link("/dev/null", "etc/systemd/system/foo@.service.d/30-c.conf");
        let host = tree.host();
        let unit = find(&host, &UnitName::parse_service("foo@1").unwrap()).unwrap().unwrap();
        assert_eq!(texts(&host, &unit).unwrap(), ["file", "own 10", "own 20"]);
    }
}
