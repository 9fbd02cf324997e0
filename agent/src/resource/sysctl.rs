//! `sysctl` at work: /proc/sys now, the files of systemd-sysctl(8) at boot.

mod at_boot;

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

/// The file of a setting.
fn file(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(at_boot::path(name))
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        // The kernel that runs where an image is built is the builder's.
        let path = Some(file(self.name.as_str())).filter(|_| !self.at_rest);
        let running = path.map(|path| node.host.read(&path, CAP)).transpose().map_err(unread)?.flatten();
        let running = running.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
        let files = node.sysctl_files().map_err(unread)?;
        Ok(Observed { running, boot: at_boot::read(&files, self.name.as_str(), self.stored_in().as_path()) })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        for change in changes {
            match change {
                Change::Store { to, .. } => {
                    let path = self.stored_in();
                    node.make_parents(&path)?;
                    let text = format!("{} = {to}\n", self.name);
                    node.host.write::<OsError>(path.as_path(), text.as_bytes(), node.roots(Mode::FILE), None).map_err(unmade)?;
                    node.host.remove(self.stored_by_0_1().as_path()).map_err(unmade)?;
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
