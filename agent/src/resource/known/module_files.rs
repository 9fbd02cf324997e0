//! What loads modules at boot and what keeps them out: modules-load.d(5), modprobe.d(5), the kernel's command line.

use super::config_files::{self, ConfigFile};
use crate::host::{Host, OsError};
use ostler_roles::resource::kernel_module::{AskedWith, Forbidden};
use std::path::Path;

/// The files of a node, and the words with which its kernel was started.
#[derive(Debug, Default)]
pub(in super::super) struct ModuleFiles {
    load: Vec<ConfigFile>,
    probe: Vec<ConfigFile>,
    started_with: String,
}

/// The command line of this boot; the next one's is seldom another.
const COMMAND_LINE: &str = "/proc/cmdline";

impl ModuleFiles {
    pub(in super::super) fn read(host: &Host) -> Result<Self, OsError> {
        let started_with = host.read(Path::new(COMMAND_LINE), 64 << 10)?.unwrap_or_default();
        Ok(Self { started_with: String::from_utf8_lossy(&started_with).into_owned(), ..Self::at_rest(host)? })
    }

    /// The same without the words: nothing was started yet.
    pub(in super::super) fn at_rest(host: &Host) -> Result<Self, OsError> {
        let (load, probe) = (config_files::read(host, "modules-load.d")?, config_files::read(host, "modprobe.d")?);
        Ok(Self { load, probe, started_with: String::new() })
    }

    /// The first line that has a module loaded at boot. A file of our own comes behind others.
    pub(in super::super) fn asked_by(&self, name: &str, own: &Path) -> Option<String> {
        let (ours, others): (Vec<_>, Vec<_>) = self.load.iter().partition(|file| file.path == own);
        let lines = others.into_iter().chain(ours).flat_map(|file| file.lines(false));
        let on_line = self.on_command_line(&["modules_load", "rd.modules_load"], name).map(|_| COMMAND_LINE.to_owned());
        lines.into_iter().find(|(_, line)| same(line, name)).map(|(place, _)| place).or(on_line)
    }

    /// The first line that keeps a module out.
    pub(in super::super) fn forbidden(&self, name: &str, own: &Path) -> Option<Forbidden> {
        let (ours, others): (Vec<_>, Vec<_>) = self.probe.iter().partition(|file| file.path == own);
        let on_line = self.on_command_line(&["modprobe.blacklist", "module_blacklist"], name);
        let found = |file: &ConfigFile| file.lines(true).into_iter().find(|(_, line)| forbids(line, name));
        let in_files = others.into_iter().chain(ours).find_map(|file| {
            let (place, line) = found(file)?;
            Some(Forbidden { place, line, ours: file.path == own, needed: None })
        });
        in_files.or(on_line.map(|line| Forbidden { place: COMMAND_LINE.to_owned(), line, ours: false, needed: None }))
    }

    /// Whether any line could keep out what other modules need. `blacklist` does not: it is heeded for what is asked for by name
    /// (modprobe.d(5)).
    pub(in super::super) fn keeps_out_what_is_needed(&self) -> bool {
        let installs = |(_, line): (String, String)| line.starts_with("install");
        self.started_with.contains("module_blacklist=") || self.probe.iter().any(|file| file.lines(true).into_iter().any(installs))
    }

    /// The first line that keeps out one of these, which another module needs.
    pub(in super::super) fn forbidden_among(&self, needed: &[String]) -> Option<Forbidden> {
        needed.iter().find_map(|name| {
            let found = |file: &ConfigFile| file.lines(true).into_iter().find(|(_, line)| is_replaced(line, name));
            let on_line = || Some((COMMAND_LINE.to_owned(), self.on_command_line(&["module_blacklist"], name)?));
            let (place, line) = self.probe.iter().find_map(found).or_else(on_line)?;
            Some(Forbidden { place, line, ours: false, needed: Some(name.clone()) })
        })
    }

    /// Another module that is loaded at boot and needs this one: `needs` says what a module needs.
    pub(in super::super) fn asked_with<E>(
        &self,
        name: &str,
        own: &Path,
        needs: impl Fn(&str) -> Result<Vec<String>, E>,
    ) -> Result<Option<AskedWith>, E> {
        for (place, module) in self.load.iter().flat_map(|file| file.lines(false)) {
            if same(&module, name) || self.forbidden(&module, own).is_some() {
                continue;
            }
            if needs(&module)?.iter().any(|needed| same(needed, name)) {
                return Ok(Some(AskedWith { place, module }));
            }
        }
        Ok(None)
    }

    /// The word of the command line that names a module behind one of these keys.
    fn on_command_line(&self, keys: &[&str], name: &str) -> Option<String> {
        let names = |word: &&str| {
            let pair = word.split_once('=').filter(|(key, _)| keys.contains(key));
            pair.is_some_and(|(_, list)| list.split(',').any(|one| same(one, name)))
        };
        self.started_with.split_whitespace().find(names).map(str::to_owned)
    }
}

/// `-` and `_` are the same in names of modules (modprobe(8)).
fn same(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}

/// Whether a line of modprobe.d(5) keeps a module from being loaded: `blacklist`, which systemd-modules-load and udev heed; a command in
/// the place of loading that loads nothing; the alias `off`. Of the first and the last, kmod passes over further words.
fn forbids(line: &str, name: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["blacklist", module, ..] | ["alias", module, "off", ..] => same(module, name),
        _ => is_replaced(line, name),
    }
}

/// Whether a line of modprobe.d(5) puts a command that loads nothing in the place of loading a module.
fn is_replaced(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_own = words.next() == Some("install") && words.next().is_some_and(|module| same(module, name));
    // The rest is a shell's, to which a comment is one.
    is_own && !words.take_while(|word| !word.starts_with('#')).any(loads)
}

/// Whether a word of a command is a program that loads modules.
fn loads(word: &str) -> bool {
    let program = word.rsplit('/').next().unwrap_or(word);
    ["modprobe", "insmod"].contains(&program.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(load: &[(&str, &str)], probe: &[(&str, &str)], started_with: &str) -> ModuleFiles {
        let list = |directory: &str, files: &[(&str, &str)]| {
            let file =
                |(name, text): &(&str, &str)| ConfigFile { path: format!("/etc/{directory}/{name}").into(), text: (*text).to_owned() };
            files.iter().map(file).collect()
        };
        ModuleFiles { load: list("modules-load.d", load), probe: list("modprobe.d", probe), started_with: started_with.to_owned() }
    }

    #[test]
    fn what_loads_a_module_is_found_in_every_file_and_ours_is_told_last() {
        let own = Path::new("/etc/modules-load.d/ostler-loop.conf");
        let both = files(&[("ostler-loop.conf", "loop\n"), ("modules.conf", "# loop\nlp\nloop\n")], &[], "");
        assert_eq!(both.asked_by("loop", own).as_deref(), Some("/etc/modules-load.d/modules.conf:3"));
        assert_eq!(both.asked_by("lp", own).as_deref(), Some("/etc/modules-load.d/modules.conf:2"));
        let ours = files(&[("ostler-br_netfilter.conf", "br-netfilter\n")], &[], "");
        let own = Path::new("/etc/modules-load.d/ostler-br_netfilter.conf");
        assert_eq!(ours.asked_by("br_netfilter", own).as_deref(), Some("/etc/modules-load.d/ostler-br_netfilter.conf:1"));
        assert_eq!(ours.asked_by("bridge", own), None);
        assert_eq!(files(&[], &[], "quiet modules_load=a,nbd").asked_by("nbd", own).as_deref(), Some("/proc/cmdline"));
    }

    #[test]
    fn what_another_module_needs_is_kept_out_by_commands_and_comes_with_it() {
        let own = Path::new("/etc/modprobe.d/ostler-bridge.conf");
        let needs = |name: &str| -> Result<Vec<String>, ()> {
            Ok(if same(name, "br_netfilter") { vec!["bridge".to_owned(), "stp".to_owned()] } else { Vec::new() })
        };
        let among = |line: &str, started: &str| {
            let files = files(&[], &[("x.conf", line)], started);
            files.forbidden_among(&needs("br_netfilter").unwrap()).filter(|_| files.keeps_out_what_is_needed())
        };
        let found = among("install bridge /bin/false", "").unwrap();
        assert_eq!((found.place.as_str(), found.needed.as_deref()), ("/etc/modprobe.d/x.conf:1", Some("bridge")));
        assert_eq!(among("", "module_blacklist=stp").and_then(|found| found.needed).as_deref(), Some("stp"));
        for line in ["blacklist bridge", "alias bridge off", "install bridge /sbin/modprobe -i bridge", "install other /bin/false"] {
            assert_eq!(among(line, "modprobe.blacklist=bridge"), None, "{line}");
        }
        let with =
            |load: &str, probe: &str| files(&[("modules.conf", load)], &[("x.conf", probe)], "").asked_with("bridge", own, needs).unwrap();
        let asked = AskedWith { place: "/etc/modules-load.d/modules.conf:2".to_owned(), module: "br-netfilter".to_owned() };
        assert_eq!(with("loop\nbr-netfilter\n", ""), Some(asked));
        assert_eq!(with("bridge\nloop\n", ""), None, "it is asked for itself, which is another matter");
        assert_eq!(with("br_netfilter\n", "blacklist br_netfilter"), None, "nothing loads that");
    }

    #[test]
    fn what_keeps_a_module_out_is_found_with_its_line() {
        let own = Path::new("/etc/modprobe.d/ostler-dummy.conf");
        let found = |line: &str| files(&[], &[("x.conf", line)], "").forbidden("snd-dummy", own);
        for line in [
            "blacklist snd_dummy",
            "install snd-dummy /bin/false",
            "install snd_dummy \\\n /bin/true",
            "alias snd_dummy off",
            "install snd_dummy :",
            "blacklist snd_dummy # it locks up",
            "blacklist snd_dummy other words",
            "alias snd_dummy off # see above",
            "install snd_dummy /bin/false # was: modprobe snd_dummy",
        ] {
            assert_eq!(found(line).map(|found| found.place).as_deref(), Some("/etc/modprobe.d/x.conf:1"), "{line}");
        }
        for line in [
            "blacklist dummy",
            "# blacklist snd_dummy",
            "options snd_dummy a=1",
            "alias snd_dummy other",
            "install snd_dummy /sbin/modprobe --ignore-install snd_dummy; true",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
        let ours = files(&[], &[("ostler-dummy.conf", "blacklist dummy\n")], "").forbidden("dummy", own).unwrap();
        assert!(ours.ours && ours.line == "blacklist dummy");
        let booted = files(&[], &[], "quiet modprobe.blacklist=a,dummy").forbidden("dummy", own).unwrap();
        assert_eq!((booted.place.as_str(), booted.line.as_str()), ("/proc/cmdline", "modprobe.blacklist=a,dummy"));
    }
}
