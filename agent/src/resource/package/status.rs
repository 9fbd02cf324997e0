//! /var/lib/dpkg/status (dpkg(1)): what is installed, in one pass.

use ostler_roles::resource::package::Observed;
use ostler_roles::words::Version;
use std::collections::HashMap;
use std::io::BufRead as _;

/// Debian's word for the architecture that this agent was built for.
pub(crate) const NATIVE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "all"
};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    arch: String,
    status: String,
    version: String,
}

/// Every package that dpkg knows, by name.
#[derive(Debug, Default)]
pub(crate) struct Packages(HashMap<String, Vec<Package>>);

impl Packages {
    /// Reads a status file.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut packages: HashMap<String, Vec<Package>> = HashMap::with_capacity(2048);
        each_stanza(bytes, ["Package: ", "Status: ", "Architecture: ", "Version: "], |[name, status, arch, version]| {
            if !name.is_empty() {
                let package = Package { arch: arch.to_owned(), status: status.to_owned(), version: version.to_owned() };
                packages.entry(name.to_owned()).or_default().push(package);
            }
        });
        Self(packages)
    }

    /// The state of `name`, or of `name:arch`.
    pub(crate) fn state(&self, name: &str) -> Observed {
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch)),
            None => (name, None),
        };
        let of_arch = |package: &&Package| match arch {
            Some(arch) => package.arch == arch,
            None => package.arch == NATIVE || package.arch == "all",
        };
        let Some(package) = self.0.get(name).and_then(|packages| packages.iter().find(of_arch)) else { return Observed::Absent };
        let mut words = package.status.split(' ').skip(1);
        match (words.next().unwrap_or(""), words.next().unwrap_or("")) {
            ("ok", "installed") => Observed::Installed(Version(package.version.clone())),
            ("ok", "not-installed" | "config-files") => Observed::Absent,
            ("ok", state) => Observed::Broken(state.to_owned()),
            (flag, state) => Observed::Broken(format!("{flag} {state}")),
        }
    }
}

/// Calls `take` with the wanted fields of each stanza (deb822(5)); a missing one is empty. Only first lines of fields are read.
pub(super) fn each_stanza<const N: usize>(bytes: &[u8], wanted: [&str; N], mut take: impl FnMut([&str; N])) {
    let mut rest = bytes;
    let mut fields = [""; N];
    while !rest.is_empty() {
        let line = next_line(&mut rest);
        if line.is_empty() {
            take(std::mem::replace(&mut fields, [""; N]));
            continue;
        }
        // Continuation lines are most of the file.
        if line.first() == Some(&b' ') {
            continue;
        }
        for (field, name) in fields.iter_mut().zip(wanted) {
            if let Some(value) = line.strip_prefix(name.as_bytes()) {
                *field = std::str::from_utf8(value).unwrap_or("").trim_end();
            }
        }
    }
    take(fields);
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
        assert_eq!(packages.state("half"), Observed::Broken("half-configured".to_owned()));
        assert_eq!(packages.state("bad"), Observed::Broken("reinstreq half-installed".to_owned()));
        assert_eq!(packages.state("kept"), version("3"));
        assert_eq!(packages.state("not this one"), Observed::Absent);
        assert_eq!(Packages::parse(b"").state("git"), Observed::Absent);
    }
}
