//! `sysctl` at work: /proc/sys now, /etc/sysctl.d at boot.

use super::Act;
use super::fault::{hinted, unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::OsError;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::sysctl::{Change, Desired, Observed};
use ostler_roles::words::Mode;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Values are at most a page.
const CAP: u64 = 64 << 10;

/// The file of a setting. Where the first separator is `/`, dots belong to names (`net/ipv4/conf/eth0.1/forwarding`); else `/`
/// stands for a dot in a name (sysctl.d(5)).
fn file(name: &str) -> PathBuf {
    let slashes_separate = name.find(['.', '/']).is_some_and(|first| name[first..].starts_with('/'));
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let inside: String = if slashes_separate { name.to_owned() } else { name.chars().map(swapped).collect() };
    Path::new("/proc/sys").join(inside)
}

/// The value of the only line that sets something.
fn stored(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines.next()?.split_once('=').map(|(_, value)| value.trim().to_owned())
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let text = |path: &Path| -> Result<Option<String>, OsError> {
            Ok(node.host.read(path, CAP)?.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
        };
        let running = text(&file(self.name.as_str())).map_err(unread)?;
        Ok(Observed { running, stored: text(self.stored_in().as_path()).map_err(unread)?.as_deref().and_then(stored) })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        for change in changes {
            match change {
                Change::Store { to, .. } => {
                    let path = self.stored_in();
                    for parent in node.host.missing_parents(&path).map_err(unmade)? {
                        node.host.make_parent(parent.as_path()).map_err(unmade)?;
                    }
                    let text = format!("{} = {to}\n", self.name);
                    node.host.write::<OsError>(path.as_path(), text.as_bytes(), node.roots(Mode::FILE), None).map_err(unmade)?;
                }
                Change::Set { to, .. } => {
                    let path = file(self.name.as_str());
                    node.host.set_kernel_value(&path, &to).map_err(|error| refused(self, error))?;
                }
            }
        }
        Ok(Vec::new())
    }
}

fn refused(desired: &Desired, error: OsError) -> Failure {
    let hint = match error.source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this node may not set it: a container sets only what is its own, such as net.*; set it on the host"
        }
        ErrorKind::InvalidInput => "the kernel does not take this value: see the kernel's Documentation/admin-guide/sysctl",
        _ => return unmade(error),
    };
    Failure {
        causes: vec![error.source.to_string()],
        ..hinted(FailureKind::Apply, format!("cannot set {} to {}", desired.name, desired.value), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_are_read_as_sysctl_reads_them() {
        assert_eq!(file("net.ipv4.ip_forward"), Path::new("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(file("net/ipv4/conf/eth0.1/forwarding"), Path::new("/proc/sys/net/ipv4/conf/eth0.1/forwarding"));
        assert_eq!(file("net.ipv4.conf.eth0/1.forwarding"), Path::new("/proc/sys/net/ipv4/conf/eth0.1/forwarding"));
        assert_eq!(stored("# why\n\nvm.swappiness = 10\n"), Some("10".to_owned()));
        assert_eq!(stored("# nothing\n"), None);
    }
}
