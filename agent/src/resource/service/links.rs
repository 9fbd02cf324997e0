//! Whether a unit starts at boot, as systemctl(1) tells it: from the links, in microseconds.

use crate::host::{EntryKind, Host, OsError};
use std::path::{Path, PathBuf};

/// Where units are looked for, in order (systemd.unit(5), "Unit File Load Path").
const PATHS: [&str; 5] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Unit files are small.
const CAP: u64 = 4 << 20;

/// What the links say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// A unit file is there.
    pub(super) found: bool,
    /// Starts at boot; none where it cannot be enabled.
    pub(super) enabled: Option<bool>,
    /// Masked.
    pub(super) masked: bool,
}

pub(super) fn read(host: &Host, name: &str) -> Result<Links, OsError> {
    let Some((path, file_name)) = unit_file(host, name)? else { return old_script(host, name) };
    if is_mask(host, &path)? {
        return Ok(Links { found: true, enabled: None, masked: true });
    }
    let text = String::from_utf8_lossy(&host.read_through(&path, CAP)?.unwrap_or_default()).into_owned();
    let enabled = if linked(host, name)? || aliased(host, name, &file_name)? {
        Some(true)
    } else if installable(&text) {
        Some(false)
    } else {
        None
    };
    Ok(Links { found: true, enabled, masked: false })
}

/// The first unit file of that name, or of its template.
fn unit_file(host: &Host, name: &str) -> Result<Option<(PathBuf, String)>, OsError> {
    let template = name.split_once('@').and_then(|(base, rest)| rest.rsplit_once('.').map(|(_, kind)| format!("{base}@.{kind}")));
    for file in std::iter::once(name.to_owned()).chain(template) {
        for directory in PATHS {
            let path = Path::new(directory).join(&file);
            if host.look(&path)?.is_some() {
                return Ok(Some((path, file)));
            }
        }
    }
    Ok(None)
}

/// A link to /dev/null, or an empty file.
fn is_mask(host: &Host, path: &Path) -> Result<bool, OsError> {
    Ok(match host.look(path)? {
        Some(entry) if entry.kind == EntryKind::Link => host.read_link(path)?.is_some_and(|target| target == Path::new("/dev/null")),
        Some(entry) => entry.kind == EntryKind::File && entry.length == 0,
        None => false,
    })
}

/// A link of this name in a `.wants`, `.requires` or `.upholds` directory of /etc.
fn linked(host: &Host, name: &str) -> Result<bool, OsError> {
    let config = Path::new(PATHS[0]);
    for directory in host.list(config)?.unwrap_or_default() {
        let text = directory.to_string_lossy();
        let holds_links = [".wants", ".requires", ".upholds"].iter().any(|suffix| text.ends_with(suffix));
        if holds_links && host.look(&config.join(&directory).join(name))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A link of another name in /etc that leads to the unit's file: an alias (`sshd.service`).
fn aliased(host: &Host, name: &str, file: &str) -> Result<bool, OsError> {
    let config = Path::new(PATHS[0]);
    for entry in host.list(config)?.unwrap_or_default() {
        if entry.to_string_lossy() == name {
            continue;
        }
        let path = config.join(&entry);
        if host.look(&path)?.is_some_and(|found| found.kind == EntryKind::Link)
            && host.read_link(&path)?.is_some_and(|target| target.file_name().is_some_and(|target| target.to_string_lossy() == file))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether its [Install] section says how it could be enabled.
fn installable(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Install]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            let names = ["WantedBy", "RequiredBy", "UpheldBy", "Alias"];
            if names.contains(&key.trim()) && !value.trim().is_empty() {
                return true;
            }
        }
    }
    false
}

/// Whether an init script without a unit file is all there is.
pub(super) fn is_old_script(host: &Host, name: &str) -> Result<bool, OsError> {
    Ok(unit_file(host, name)?.is_none() && old_script(host, name)?.found)
}

/// An init script without a unit file: enabled by its links of the ordinary runlevels.
fn old_script(host: &Host, name: &str) -> Result<Links, OsError> {
    let Some(script) = name.strip_suffix(".service") else { return Ok(Links::default()) };
    if host.look(&Path::new("/etc/init.d").join(script))?.is_none() {
        return Ok(Links::default());
    }
    let mut enabled = false;
    for level in ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"] {
        let links = host.list(Path::new(level))?.unwrap_or_default();
        // S01name
        enabled |= links.iter().filter_map(|link| link.to_str()).any(|link| link.starts_with('S') && link.get(3..) == Some(script));
    }
    Ok(Links { found: true, enabled: Some(enabled), masked: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_tell_what_systemctl_is_enabled_tells() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let installable = "[Unit]\nWantedBy=not here\n[Install]\nWantedBy = multi-user.target\nAlias=sshd.service\n";
        for unit in ["ssh", "cron", "getty@", "alias", "masked"] {
            std::fs::write(at(&format!("usr/lib/systemd/system/{unit}.service")), installable).unwrap();
        }
        std::fs::write(at("usr/lib/systemd/system/static.service"), "[Service]\n[Install]\nAlso=x.socket\n").unwrap();
        symlink("/lib/systemd/system/ssh.service", at("etc/systemd/system/multi-user.target.wants/ssh.service")).unwrap();
        symlink("/lib/systemd/system/getty@.service", at("etc/systemd/system/getty.target.wants/getty@tty1.service")).unwrap();
        symlink("/lib/systemd/system/alias.service", at("etc/systemd/system/other.service")).unwrap();
        symlink("/dev/null", at("etc/systemd/system/masked.service")).unwrap();
        symlink("../init.d/old", at("etc/rc3.d/S01old")).unwrap();
        std::fs::write(at("etc/init.d/old"), "#!/bin/sh\n").unwrap();
        std::fs::write(at("etc/init.d/off"), "#!/bin/sh\n").unwrap();
        let host = Host::at(tree.path()).unwrap();
        for (name, found, enabled, masked) in [
            ("ssh.service", true, Some(true), false),
            ("cron.service", true, Some(false), false),
            ("getty@tty1.service", true, Some(true), false),
            ("getty@tty2.service", true, Some(false), false),
            ("alias.service", true, Some(true), false),
            ("masked.service", true, None, true),
            ("static.service", true, None, false),
            ("old.service", true, Some(true), false),
            ("off.service", true, Some(false), false),
            ("none.service", false, None, false),
        ] {
            assert_eq!(read(&host, name).unwrap(), Links { found, enabled, masked }, "{name}");
        }
    }
}
