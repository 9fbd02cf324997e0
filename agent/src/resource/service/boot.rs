//! Whether a unit starts at boot: the links that its [Install] section asks for, and those that are there.

use super::super::known::is_merged;
use super::install::Install;
use super::unit_file::{self, UnitFile};
use crate::host::{EntryKind, Host, OsError};
use ostler_roles::resource::service::Boot;
use ostler_roles::words::{UNIT_DIRECTORIES, UnitName};
use std::path::{Path, PathBuf};

/// Where enabling makes its links.
const CONFIG: &str = UNIT_DIRECTORIES[0];
/// The directories whose links hold beyond the next boot and are nobody's to make: of generators, of packages.
const GIVEN: &[&str] = UNIT_DIRECTORIES.split_at(2).1;

/// What starts this unit at boot, held against what shall: where `enabled` is said, links of the system are looked for, which may decide.
pub(super) fn read(host: &Host, unit: &UnitFile, enabled: Option<bool>) -> Result<Boot, OsError> {
    let install = Install::of(unit_file::texts(host, unit)?);
    let mut asked = install.links(&unit.name);
    let mut present = present(host, &unit.name)?;
    // One without links of its own is enabled by the units that it names (systemctl(1), "indirect"); one that has some is enabled with them,
    // and whether one of them stays when it no longer is, is not its matter.
    let (indirect, shall) = (asked.is_empty(), enabled == Some(true));
    for also in if indirect || shall { install.also(&unit.name) } else { Vec::new() } {
        let Some(other) = unit_file::find(host, &also)?.filter(|other| other.masks.is_empty()) else { continue };
        let links = Install::of(unit_file::texts(host, &other)?).links(&other.name);
        present.extend(self::present(host, &other.name)?.into_iter().filter(|link| indirect || links.contains(link)));
        asked.extend(links);
    }
    fill_in(&mut asked, &present);
    // Hundreds of names: read only where they decide (`boot_change`).
    let decides = match enabled {
        Some(true) => asked.is_empty(),
        Some(false) => present.is_empty(),
        None => false,
    };
    let given = if decides { given(host, &unit.name)? } else { Vec::new() };
    Ok(Boot { asked, present, given })
}

/// Where only systemd knows a specifier's value, its link is taken for the one that is there.
fn fill_in(asked: &mut Vec<String>, present: &[String]) {
    if asked.iter().any(|link| link.contains('%')) && !present.is_empty() {
        let spare: Vec<String> = present.iter().filter(|link| !asked.contains(link)).cloned().collect();
        asked.retain(|link| !link.contains('%'));
        asked.extend(spare);
    }
}

/// Links to this unit in the administrator's directory: by name among those that a unit wants, by target among aliases.
fn present(host: &Host, name: &UnitName) -> Result<Vec<String>, OsError> {
    let mut links = Vec::new();
    for entry in host.list(Path::new(CONFIG))?.unwrap_or_default() {
        let Some(entry) = entry.to_str() else { continue };
        let path = Path::new(CONFIG).join(entry);
        if holds_links(entry) {
            links.extend(wanted_below(host, &path, name)?.into_iter().map(|link| format!("{entry}/{link}")));
        } else if entry != name.as_str()
            && UnitName::parse(entry).is_ok()
            && host.look(&path)?.is_some_and(|found| found.kind == EntryKind::Link)
            && unit_file::leads_to(host, &path, entry, name)?
        {
            links.push(entry.to_owned());
        }
    }
    Ok(links)
}

fn holds_links(directory: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|suffix| directory.ends_with(suffix))
}

/// The links of this unit in one such directory: of a template, those of its instances.
fn wanted_below(host: &Host, directory: &Path, name: &UnitName) -> Result<Vec<String>, OsError> {
    if !name.is_template() {
        return Ok(host.look(&directory.join(name.as_str()))?.map(|_| name.to_string()).into_iter().collect());
    }
    let links = host.list(directory)?.unwrap_or_default().into_iter().filter_map(|link| link.into_string().ok());
    Ok(links.filter(|link| UnitName::parse(link).is_ok_and(|link| link.template().as_deref() == Some(name.as_str()))).collect())
}

/// Links that came with the system.
fn given(host: &Host, name: &UnitName) -> Result<Vec<String>, OsError> {
    let mut links = Vec::new();
    for directory in GIVEN.iter().map(Path::new).filter(|directory| !is_merged(host, directory)) {
        for entry in host.list(directory)?.unwrap_or_default() {
            if entry.to_str().is_some_and(holds_links) {
                let below: PathBuf = directory.join(&entry);
                links.extend(wanted_below(host, &below, name)?.into_iter().map(|link| below.join(link).display().to_string()));
            }
        }
    }
    Ok(links)
}

/// An init script without a unit file: enabled by its links of the ordinary runlevels. None: there is no such script.
pub(super) fn old_script(host: &Host, name: &str) -> Result<Option<Boot>, OsError> {
    let Some(script) = name.strip_suffix(".service") else { return Ok(None) };
    if host.look(&Path::new("/etc/init.d").join(script))?.is_none() {
        return Ok(None);
    }
    let mut present = Vec::new();
    for level in ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"] {
        let links = host.list(Path::new(level))?.unwrap_or_default();
        // S01name
        if links.iter().filter_map(|link| link.to_str()).any(|link| link.starts_with('S') && link.get(3..) == Some(script)) {
            present = vec![script.to_owned()];
        }
    }
    Ok(Some(Boot { asked: vec![script.to_owned()], present, given: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Tree;
    use super::*;

    const INSTALL: &str = "[Service]\n[Install]\nWantedBy=multi-user.target\n";

    fn boot(tree: &Tree, name: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let host = tree.host();
        let unit = unit_file::find(&host, &UnitName::parse_service(name).unwrap()).unwrap().unwrap();
        let Boot { asked, present, given } = read(&host, &unit, Some(true)).unwrap();
        (asked, present, given)
    }

    fn list(links: &[&str]) -> Vec<String> {
        links.iter().map(|link| (*link).to_owned()).collect()
    }

    #[test]
    fn links_tell_by_what_a_unit_is_enabled() {
        let tree = Tree::new();
        for unit in ["ssh", "cron", "getty@", "alias", "masked"] {
            tree.file(&format!("usr/lib/systemd/system/{unit}.service"), INSTALL);
        }
        tree.link("/lib/systemd/system/ssh.service", "etc/systemd/system/multi-user.target.wants/ssh.service");
        tree.link("/lib/systemd/system/getty@.service", "etc/systemd/system/getty.target.wants/getty@tty1.service");
        tree.link("/lib/systemd/system/alias.service", "etc/systemd/system/other.service");
        tree.link("/dev/null", "etc/systemd/system/masked.service");
        let asked = |unit: &str| list(&[&format!("multi-user.target.wants/{unit}.service")]);
        assert_eq!(boot(&tree, "ssh"), (asked("ssh"), asked("ssh"), list(&[])));
        assert_eq!(boot(&tree, "cron"), (asked("cron"), list(&[]), list(&[])));
        assert_eq!(boot(&tree, "getty@tty1"), (asked("getty@tty1"), list(&["getty.target.wants/getty@tty1.service"]), list(&[])));
        assert_eq!(boot(&tree, "getty@tty2"), (asked("getty@tty2"), list(&[]), list(&[])));
        assert_eq!(boot(&tree, "getty@"), (list(&[]), list(&["getty.target.wants/getty@tty1.service"]), list(&[])));
        assert_eq!(boot(&tree, "alias"), (asked("alias"), list(&["other.service"]), list(&[])));
        assert_eq!(boot(&tree, "masked"), (asked("masked"), list(&[]), list(&[])), "as it would be without its mask");
    }

    #[test]
    fn a_static_unit_is_started_by_what_came_with_the_system_or_by_nothing() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/journal.service", "[Service]\n");
        tree.file("usr/lib/systemd/system/alone.service", "[Service]\n");
        tree.link("usr/lib", "lib");
        tree.link("../journal.service", "usr/lib/systemd/system/sysinit.target.wants/journal.service");
        tree.link("/dev/null", "run/systemd/system/multi-user.target.wants/alone.service");
        let given = list(&["/usr/lib/systemd/system/sysinit.target.wants/journal.service"]);
        assert_eq!(boot(&tree, "journal"), (list(&[]), list(&[]), given));
        assert_eq!(boot(&tree, "alone"), (list(&[]), list(&[]), list(&[])), "links of /run are gone at the next boot");
    }

    #[test]
    fn a_unit_that_only_names_others_is_enabled_by_them() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/web.service", "[Install]\nAlso=web.socket\n");
        tree.file("usr/lib/systemd/system/web.socket", "[Install]\nWantedBy=sockets.target\n");
        assert_eq!(boot(&tree, "web").1, list(&[]));
        tree.link("/lib/systemd/system/web.socket", "etc/systemd/system/sockets.target.wants/web.socket");
        let links = list(&["sockets.target.wants/web.socket"]);
        assert_eq!(boot(&tree, "web"), (links.clone(), links, list(&[])));
    }

    #[test]
    fn a_unit_with_links_of_its_own_is_enabled_with_those_that_it_names() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/web.service", "[Install]\nWantedBy=multi-user.target\nAlso=web.socket none.socket\n");
        tree.file("usr/lib/systemd/system/web.socket", "[Install]\nWantedBy=sockets.target\n");
        let (own, socket) = ("multi-user.target.wants/web.service", "sockets.target.wants/web.socket");
        tree.link("/lib/systemd/system/web.service", &format!("etc/systemd/system/{own}"));
        assert_eq!(boot(&tree, "web"), (list(&[own, socket]), list(&[own]), list(&[])));
        tree.link("/lib/systemd/system/web.socket", &format!("etc/systemd/system/{socket}"));
        tree.link("/lib/systemd/system/web.socket", "etc/systemd/system/other.target.wants/web.socket");
        assert_eq!(boot(&tree, "web"), (list(&[own, socket]), list(&[own, socket]), list(&[])), "a link of somebody's own stays");
        let host = tree.host();
        host.remove(&Path::new(CONFIG).join(own)).unwrap();
        let unit = unit_file::find(&host, &UnitName::parse_service("web").unwrap()).unwrap().unwrap();
        assert_eq!(read(&host, &unit, Some(false)).unwrap().present, list(&[]), "its socket may stay enabled without it");
    }

    #[test]
    fn a_specifier_that_only_systemd_knows_asks_for_the_link_that_is_there() {
        let mut asked = list(&["a.target.wants/x.service", "of-%H.target.wants/x.service"]);
        fill_in(&mut asked, &[]);
        assert_eq!(asked.len(), 2);
        fill_in(&mut asked, &list(&["of-n1.target.wants/x.service"]));
        assert_eq!(asked, ["a.target.wants/x.service", "of-n1.target.wants/x.service"]);
    }

    #[test]
    fn an_init_script_is_enabled_by_its_runlevels() {
        let tree = Tree::new();
        tree.link("../init.d/old", "etc/rc3.d/S01old");
        tree.file("etc/init.d/old", "#!/bin/sh\n");
        tree.file("etc/init.d/off", "#!/bin/sh\n");
        let enabled = |name: &str| old_script(&tree.host(), name).unwrap().map(|boot| boot.present.len());
        assert_eq!((enabled("old.service"), enabled("off.service"), enabled("none.service")), (Some(1), Some(0), None));
    }
}
