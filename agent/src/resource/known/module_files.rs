//! What loads modules at boot and what keeps them out: modules-load.d(5), modprobe.d(5), the kernel's command line.

use super::config_files::{self, ConfigFile};
use crate::host::{Host, OsError};
use ostler_roles::resource::kernel_module::Forbidden;
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
        Ok(Self {
            load: config_files::read(host, "modules-load.d")?,
            probe: config_files::read(host, "modprobe.d")?,
            started_with: String::from_utf8_lossy(&started_with).into_owned(),
        })
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
            Some(Forbidden { place, line, ours: file.path == own })
        });
        in_files.or(on_line.map(|line| Forbidden { place: COMMAND_LINE.to_owned(), line, ours: false }))
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
/// the place of loading that loads nothing; the alias `off`.
fn forbids(line: &str, name: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["blacklist", module] => same(module, name),
        ["alias", module, "off"] => same(module, name),
        ["install", module, command @ ..] => same(module, name) && !command.iter().any(|word| loads(word)),
        _ => false,
    }
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
    fn what_keeps_a_module_out_is_found_with_its_line() {
        let own = Path::new("/etc/modprobe.d/ostler-dummy.conf");
        let found = |line: &str| files(&[], &[("x.conf", line)], "").forbidden("snd-dummy", own);
        for line in [
            "blacklist snd_dummy",
            "install snd-dummy /bin/false",
            "install snd_dummy \\\n /bin/true",
            "alias snd_dummy off",
            "install snd_dummy :",
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
