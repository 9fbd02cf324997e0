//! The distribution, the architecture, the host keys.

use super::text;
use crate::host::{Host, OsError};
use ostler_roles::facts::System;
use std::path::Path;

/// Reads os-release(5).
pub(super) fn read(host: &Host) -> Result<System, OsError> {
    let own = text(host, "/etc/os-release")?;
    let text = if own.is_empty() { text(host, "/usr/lib/os-release")? } else { own };
    Ok(parse(&text))
}

fn parse(text: &str) -> System {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('=')).unwrap_or("").trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        quoted.unwrap_or(value).to_owned()
    };
    let id = field("ID");
    let like = field("ID_LIKE");
    let ids: Vec<&str> = std::iter::once(id.as_str()).chain(like.split_whitespace()).collect();
    let families = [("debian", ["debian", "ubuntu"]), ("redhat", ["rhel", "fedora"]), ("alpine", ["alpine", "alpine"])];
    let family = families.iter().find(|(_, members)| members.iter().any(|member| ids.contains(member)));
    let family = family.map_or_else(|| id.clone(), |(family, _)| (*family).to_owned());
    System { version: field("VERSION_ID"), codename: field("VERSION_CODENAME"), family, id }
}

/// Debian's word for the machine.
pub(super) fn arch() -> String {
    let uname = rustix::system::uname();
    let machine = uname.machine().to_string_lossy();
    let words = [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "armhf"), ("i686", "i386"), ("ppc64le", "ppc64el")];
    words.iter().find(|(word, _)| *word == machine).map_or_else(|| machine.to_string(), |(_, debian)| (*debian).to_owned())
}

/// Public halves of the sshd's keys, `ALGORITHM BLOB`.
pub(super) fn host_keys(host: &Host) -> Result<Vec<String>, OsError> {
    let directory = Path::new("/etc/ssh");
    let mut keys = Vec::new();
    for name in host.list(directory)?.unwrap_or_default() {
        let name = name.to_string_lossy();
        if name.starts_with("ssh_host_") && name.ends_with("_key.pub") {
            let line = text(host, &format!("/etc/ssh/{name}"))?;
            let mut words = line.split_whitespace();
            if let (Some(algorithm), Some(blob)) = (words.next(), words.next()) {
                keys.push(format!("{algorithm} {blob}"));
            }
        }
    }
    keys.sort();
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_families() {
        let debian = parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n");
        assert_eq!((debian.id.as_str(), debian.version.as_str(), debian.family.as_str()), ("debian", "12", "debian"));
        assert_eq!(debian.codename, "bookworm");
        let mint = parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID='21.3'\n");
        assert_eq!((mint.family.as_str(), mint.version.as_str()), ("debian", "21.3"));
        assert_eq!(parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").family, "redhat");
        assert_eq!(parse("ID=arch\n").family, "arch");
    }

    #[test]
    fn host_keys_are_public_halves_without_comments() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("etc/ssh")).unwrap();
        std::fs::write(tree.path().join("etc/ssh/ssh_host_rsa_key.pub"), "ssh-rsa BBBB root@x\n").unwrap();
        std::fs::write(tree.path().join("etc/ssh/ssh_host_ed25519_key.pub"), "ssh-ed25519 AAAA root@x\n").unwrap();
        std::fs::write(tree.path().join("etc/ssh/ssh_host_ed25519_key"), "private").unwrap();
        let keys = host_keys(&Host::at(tree.path()).unwrap()).unwrap();
        assert_eq!(keys, ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]);
    }
}
