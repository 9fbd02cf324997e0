//! What may not be in an image, whoever made it: by path, each with what it is.

use super::super::error::ImageError;
use super::super::tree::Tree;

/// A path in which `*` stands for any part of one name, and what is there.
pub(super) type Rule = (&'static str, &'static str);

/// Identity: two machines that share it are one to somebody.
const IDENTITY: &[Rule] = &[
    ("/etc/ssh/ssh_host_*", "a host key"),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", "a key of ssl-cert"),
    ("/etc/ssl/certs/ssl-cert-snakeoil.pem", "a certificate in the builder's name"),
    ("/etc/hostname", "a host's name"),
    ("/etc/hostid", "a host's id"),
    ("/etc/nvme/hostnqn", "a host's id"),
    ("/etc/nvme/hostid", "a host's id"),
    ("/var/lib/systemd/random-seed", "a random seed"),
    ("/var/lib/urandom/random-seed", "a random seed"),
    ("/boot/efi/loader/random-seed", "a random seed"),
    ("/var/lib/systemd/credential.secret", "the key of systemd's credentials"),
    ("/var/lib/systemd/tpm2-srk-public-key.*", "the key of a TPM"),
    ("/var/lib/docker/engine-id", "a container engine's id"),
    ("/etc/docker/key.json", "a container engine's id"),
    ("/var/lib/docker/swarm/*", "a swarm's state"),
    ("/var/lib/containerd/io.containerd.grpc.v1.introspection/uuid", "a container engine's id"),
    ("/var/lib/buildkit/*/workerid", "a container engine's id"),
    ("/var/lib/NetworkManager/secret_key", "NetworkManager's key"),
];

/// What first boots and networks left.
const STATE: &[Rule] = &[
    ("/var/lib/dhcp/*.lease*", "a DHCP lease"),
    ("/var/lib/dhclient/*", "a DHCP lease"),
    ("/var/lib/dhcpcd/*", "a DHCP lease or id"),
    ("/etc/dhcpcd.duid", "a DHCP id"),
    ("/etc/dhcpcd.secret", "a DHCP secret"),
    ("/var/lib/NetworkManager/*.lease", "a DHCP lease"),
    ("/var/lib/NetworkManager/timestamps", "state of NetworkManager"),
    ("/var/lib/NetworkManager/seen-bssids", "state of NetworkManager"),
    ("/var/lib/systemd/timers/*", "state of timers"),
    ("/var/lib/cloud/instance", "state of cloud-init"),
    ("/var/lib/cloud/instances", "state of cloud-init"),
    ("/var/lib/cloud/data", "state of cloud-init"),
    ("/var/lib/cloud/sem", "state of cloud-init"),
    ("/etc/udev/rules.d/70-persistent-*.rules", "names of the builder's devices"),
    ("/var/lib/logrotate/status", "state of logrotate"),
];

/// What the build left, and what is made again where it is wanted.
const TRACES: &[Rule] = &[
    ("/etc/apt/apt.conf.d/99mmdebstrap", "apt's configuration of the builder"),
    ("/var/lib/ostler", "the agent's state"),
    ("/root/.cache/ostler", "the agent"),
    ("/home/*/.cache/ostler", "the agent"),
    ("/root/.*_history", "a shell's history"),
    ("/home/*/.*_history", "a shell's history"),
    ("/root/.lesshst", "a pager's history"),
    ("/home/*/.lesshst", "a pager's history"),
    ("/root/.viminfo", "an editor's history"),
    ("/home/*/.viminfo", "an editor's history"),
    ("/root/.wget-hsts", "a history of hosts"),
    ("/home/*/.wget-hsts", "a history of hosts"),
    ("/var/log/journal/*", "a journal"),
    ("/tmp/*", "a temporary file"),
    ("/var/tmp/*", "a temporary file"),
    ("/run/*", "state of a running machine"),
    ("/etc/passwd-", "a backup of accounts"),
    ("/etc/group-", "a backup of accounts"),
    ("/etc/shadow-", "a backup of accounts"),
    ("/etc/gshadow-", "a backup of accounts"),
    ("/etc/subuid-", "a backup of accounts"),
    ("/etc/subgid-", "a backup of accounts"),
    ("/var/lib/dpkg/*-old", "a backup of dpkg's"),
    ("/var/cache/debconf/*-old", "a backup of debconf's"),
    // They hold inode numbers and times, so that no two builds have the same.
    ("/var/cache/apt/*.bin", "a cache of apt's"),
    ("/var/cache/ldconfig/aux-cache", "a cache of ldconfig's"),
    ("/var/cache/man/*", "a cache of man-db's"),
    ("/var/cache/fontconfig/*", "a cache of fontconfig's"),
];

const LISTS: Rule = ("/var/lib/apt/lists/*", "a list of apt's");
const ARCHIVES: Rule = ("/var/cache/apt/archives/*", "a package of apt's cache");

/// Returns what must be gone.
pub(super) fn gone(lists: bool, archives: bool) -> impl Iterator<Item = Rule> {
    let fixed = IDENTITY.iter().chain(STATE).chain(TRACES).copied();
    fixed.chain(Some(LISTS).filter(|_| lists)).chain(Some(ARCHIVES).filter(|_| archives))
}

/// Returns the paths there are that a pattern names.
pub(super) fn expand(tree: &Tree, pattern: &str) -> Result<Vec<String>, ImageError> {
    let mut found = vec![String::new()];
    for part in pattern.trim_matches('/').split('/') {
        let mut next = Vec::new();
        for dir in found {
            match part.split_once('*') {
                // A name that is no text cannot be one of ours; the walk meets it.
                Some(_) => next.extend(
                    tree.names(&dir)?
                        .into_iter()
                        .filter_map(|name| name.into_string().ok())
                        .filter(|name| matches(part, name))
                        .map(|name| format!("{dir}/{name}")),
                ),
                None => next.push(format!("{dir}/{part}")),
            }
        }
        found = next;
    }
    let mut there = Vec::new();
    for path in found {
        if tree.stat(&path)?.is_some() {
            there.push(path);
        }
    }
    Ok(there)
}

/// Whether a name is one that a pattern names; a `*` stands for any part of it, a leading dot too.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_star_is_any_part_of_one_name() {
        for (pattern, name, is) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("*", ".x", true),
            (".*_history", ".bash_history", true),
            ("*.l*", "x.lease", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_names_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        for home in ["a", "b"] {
            fs::create_dir_all(dir.path().join("home").join(home)).unwrap();
        }
        fs::write(dir.path().join("home/b/.bash_history"), "").unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!(expand(&tree, "/home/*/.*_history").unwrap(), ["/home/b/.bash_history"]);
        assert_eq!(expand(&tree, "/home/*").unwrap(), ["/home/a", "/home/b"]);
        assert_eq!(expand(&tree, "/root/*").unwrap(), Vec::<String>::new());
    }
}
