//! dpkg's database (dpkg(1)): what is installed. It is `/var/lib/dpkg/status`, and what `updates` holds while dpkg works or after it was killed.

use crate::host::{Host, OsError};
use ostler_roles::resource::package::Observed;
use ostler_roles::words::Version;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::BufRead as _;
use std::path::Path;

const STATUS: &str = "/var/lib/dpkg/status";
/// dpkg writes each change of a state here first, a file each, and all of them into the status file when it ends.
const UPDATES: &str = "/var/lib/dpkg/updates";
/// No status file is larger: one of 4000 packages has 5 MB.
const CAP: u64 = 64 << 20;
/// How often a dpkg at work may write its updates into the status file while we read both.
const TRIES: usize = 5;

/// Debian's word for the architecture that this agent was built for.
pub(in super::super) const NATIVE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "all"
};

/// A package of a list or of dpkg's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Package {
    pub(in super::super) name: String,
    pub(in super::super) version: String,
    pub(in super::super) arch: String,
    status: String,
}

/// Packages by a name of theirs.
pub(in super::super) type ByName = HashMap<String, Vec<Package>>;

impl Package {
    /// Whether a name without an architecture means this one.
    pub(in super::super) fn is_native(&self) -> bool {
        self.arch == NATIVE || self.arch == "all"
    }

    /// Whether one of this architecture takes the place of that one.
    fn replaces(&self, other: &Self) -> bool {
        self.arch == other.arch || (self.is_native() && other.is_native())
    }

    fn is_installed(&self) -> bool {
        self.status.ends_with(" ok installed")
    }
}

/// Every package that dpkg knows, by name.
#[derive(Debug, Default)]
pub(in super::super) struct Packages {
    known: ByName,
    /// Names that packages provide beside their own.
    provided: ByName,
}

/// What an interrupted dpkg left, in dpkg's order; while one is at work, what it has not written into the status file yet.
pub(in super::super) fn updates(host: &Host) -> Result<Vec<OsString>, OsError> {
    let mut names = host.list(Path::new(UPDATES))?.unwrap_or_default();
    names.retain(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    Ok(names)
}

impl Packages {
    /// Reads dpkg's database.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(in super::super) fn read(host: &Host) -> Result<Self, OsError> {
        for _ in 1..TRIES {
            if let Some(found) = Self::at_once(host, &updates(host)?)? {
                return Ok(found);
            }
        }
        // One that never rests ends each of them by a whole status file.
        Ok(Self::at_once(host, &[])?.unwrap_or_default())
    }

    /// The status file, and these updates laid over it; none where one went meanwhile: then both are to be read again.
    fn at_once(host: &Host, updates: &[OsString]) -> Result<Option<Self>, OsError> {
        let mut found = Self { known: HashMap::with_capacity(2048), provided: HashMap::new() };
        found.lay_over(&host.read(Path::new(STATUS), CAP)?.unwrap_or_default());
        for name in updates {
            let Some(update) = host.read(&Path::new(UPDATES).join(name), CAP)? else { return Ok(None) };
            found.lay_over(&update);
        }
        Ok(Some(found))
    }

    #[cfg(test)]
    pub(in super::super) fn parse(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        found.lay_over(bytes);
        found
    }

    /// Takes each stanza in the place of the one that is known of that package.
    fn lay_over(&mut self, bytes: &[u8]) {
        each_package(bytes, &mut |package, provides| {
            provide(&mut self.provided, &package, provides);
            let known = self.known.entry(package.name.clone()).or_default();
            match known.iter_mut().find(|known| package.replaces(known)) {
                Some(known) => *known = package,
                None => known.push(package),
            }
        });
    }

    /// The state of `name`, or of `name:arch`.
    pub(in super::super) fn state(&self, name: &str) -> Observed {
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch)),
            None => (name, None),
        };
        let of_arch = |package: &&Package| arch.map_or_else(|| package.is_native(), |arch| package.arch == arch);
        let Some(package) = self.known.get(name).and_then(|packages| packages.iter().find(of_arch)) else { return Observed::Absent };
        let version = Version(package.version.clone());
        let mut words = package.status.split(' ').skip(1);
        match (words.next().unwrap_or(""), words.next().unwrap_or("")) {
            ("ok", "installed") => Observed::Installed(version),
            ("ok", "not-installed" | "config-files") => Observed::Absent,
            ("ok", state) => Observed::Broken { state: state.to_owned(), version },
            (flag, state) => Observed::Broken { state: format!("{flag} {state}"), version },
        }
    }

    /// The first package, by name, that is installed and provides `name`, with its version.
    pub(in super::super) fn provider(&self, name: &str) -> Option<(String, Version)> {
        let mut first: Option<&Package> = None;
        for package in self.provided.get(name)?.iter().filter_map(|by| self.known.get(&by.name)).flatten() {
            if package.is_native() && package.is_installed() && first.is_none_or(|first| package.name < first.name) {
                first = Some(package);
            }
        }
        first.map(|package| (package.name.clone(), Version(package.version.clone())))
    }
}

/// Notes a package under each name of its field `Provides: libz-dev (= 1:1.2), zlib-api:any`.
pub(in super::super) fn provide(provided: &mut ByName, package: &Package, field: &str) {
    for one in field.split(',') {
        let one = one.trim();
        let name = &one.as_bytes()[..one.bytes().position(|byte| b" (:".contains(&byte)).unwrap_or(one.len())];
        if let (Ok(name), false) = (std::str::from_utf8(name), name.is_empty()) {
            provided.entry(name.to_owned()).or_default().push(package.clone());
        }
    }
}

/// Calls `take` with the package of each stanza (deb822(5)), and what it provides; a missing field is empty. Only first lines of fields are
/// read.
pub(in super::super) fn each_package(bytes: &[u8], take: &mut dyn FnMut(Package, &str)) {
    const WANTED: [&str; 5] = ["Package: ", "Version: ", "Architecture: ", "Status: ", "Provides: "];
    let mut end = |[name, version, arch, status, provides]: [&str; 5]| {
        if !name.is_empty() {
            let [name, version, arch, status] = [name, version, arch, status].map(str::to_owned);
            take(Package { name, version, arch, status }, provides);
        }
    };
    let mut rest = bytes;
    let mut fields = [""; 5];
    while !rest.is_empty() {
        let line = next_line(&mut rest);
        if line.is_empty() {
            end(std::mem::take(&mut fields));
            continue;
        }
        // Continuation lines are most of the file.
        if line.first() == Some(&b' ') {
            continue;
        }
        for (field, name) in fields.iter_mut().zip(WANTED) {
            if let Some(value) = line.strip_prefix(name.as_bytes()) {
                *field = std::str::from_utf8(value).unwrap_or("").trim_end();
            }
        }
    }
    end(fields);
}

/// The next line without its end. `skip_until` finds it with memchr(3), the quickest search there is.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let all = *rest;
    let taken = rest.skip_until(b'\n').unwrap_or(all.len());
    let line = &all[..taken];
    line.strip_suffix(b"\n").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: git\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\nVersion: 1:2.39.5-0+deb12u2\nDescription: fast\n Package: not this one\n .\n more\n\n\
Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36-9\n\n\
Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36-9+i386\n\n\
Package: old\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\n\n\
Package: bad\nStatus: install reinstreq half-installed\nArchitecture: all\nVersion: 1\n\n\
Package: kept\nStatus: hold ok installed\nArchitecture: all\nVersion: 3\n";

    #[test]
    fn the_status_file_tells_every_state() {
        let packages = Packages::parse(STATUS.as_bytes());
        let version = |text: &str| Observed::Installed(Version(text.to_owned()));
        if NATIVE == "amd64" {
            assert_eq!(packages.state("git"), version("1:2.39.5-0+deb12u2"));
            assert_eq!(packages.state("libc6"), version("2.36-9"));
        }
        assert_eq!(packages.state("libc6:i386"), version("2.36-9+i386"));
        assert_eq!(packages.state("libc6:armhf"), Observed::Absent);
        assert_eq!(packages.state("old"), Observed::Absent);
        let broken = |state: &str| Observed::Broken { state: state.to_owned(), version: Version("1".to_owned()) };
        assert_eq!(packages.state("half"), broken("half-configured"));
        assert_eq!(packages.state("bad"), broken("reinstreq half-installed"));
        assert_eq!(packages.state("kept"), version("3"));
        assert_eq!(packages.state("not this one"), Observed::Absent);
        assert_eq!(Packages::parse(b"").state("git"), Observed::Absent);
    }

    fn host(tree: &Path, files: &[(&str, &str)]) -> Host {
        std::fs::create_dir_all(tree.join("var/lib/dpkg/updates")).unwrap();
        for (name, text) in files {
            std::fs::write(tree.join("var/lib/dpkg").join(name), text).unwrap();
        }
        Host::at(tree).unwrap()
    }

    #[test]
    fn what_an_interrupted_dpkg_has_not_written_into_its_status_file_counts() {
        let stanza = |name: &str, status: &str, version: &str| {
            format!("Package: {name}\nStatus: {status}\nArchitecture: all\nVersion: {version}\n#padding\n#padding\n")
        };
        let tree = tempfile::tempdir().unwrap();
        let host = host(
            tree.path(),
            &[
                ("status", &[stanza("app", "install ok installed", "1"), stanza("other", "install ok installed", "1")].join("\n")),
                ("updates/0000", &stanza("app", "install reinstreq half-installed", "1")),
                ("updates/0001", &stanza("app", "install ok unpacked", "2")),
                ("updates/0010", &stanza("app", "install ok half-configured", "2")),
                ("updates/tmp.i", &stanza("app", "install ok installed", "3")),
                ("updates/0011", &stanza("new", "install ok unpacked", "4")),
            ],
        );
        let packages = Packages::read(&host).unwrap();
        let broken = |state: &str, version: &str| Observed::Broken { state: state.to_owned(), version: Version(version.to_owned()) };
        assert_eq!(packages.state("app"), broken("half-configured", "2"));
        assert_eq!(packages.state("new"), broken("unpacked", "4"));
        assert_eq!(packages.state("other"), Observed::Installed(Version("1".to_owned())));
        assert_eq!(updates(&host).unwrap(), ["0000", "0001", "0010", "0011"]);
    }

    #[test]
    fn a_dpkg_that_ends_meanwhile_is_read_again() {
        let tree = tempfile::tempdir().unwrap();
        let host = host(tree.path(), &[("status", "Package: app\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n")]);
        assert!(Packages::at_once(&host, &["0000".into()]).unwrap().is_none());
        assert!(Packages::at_once(&host, &[]).unwrap().is_some());
    }

    #[test]
    fn a_package_that_is_installed_provides_names_beside_its_own() {
        let status = "Package: zlib1g-dev\nStatus: install ok installed\nArchitecture: all\nVersion: 1:1.2\nProvides: libz-dev (= 1:1.2), zlib-api:any\n\n\
Package: agone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\nProvides: libz-dev\n";
        let packages = Packages::parse(status.as_bytes());
        let by = Some(("zlib1g-dev".to_owned(), Version("1:1.2".to_owned())));
        assert_eq!(packages.provider("libz-dev"), by);
        assert_eq!(packages.provider("zlib-api"), by);
        assert_eq!(packages.provider("zlib1g-dev"), None);
        assert_eq!(packages.state("libz-dev"), Observed::Absent);
    }
}
