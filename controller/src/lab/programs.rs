//! What must be there before a lab can come up: root, and the programs it runs.

use std::path::Path;

use super::error::LabError;
use super::spec::{LabSpec, Machine};

/// Programs every lab runs, with the Debian package that holds each.
const ALWAYS: &[(&str, &str)] = &[
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
];

/// Programs a virtual machine needs beside them.
const VIRTUAL: &[(&str, &str)] = &[("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("mke2fs", "e2fsprogs")];

/// Refuses to start without root or without a program, before anything is touched.
pub(crate) fn check(spec: &LabSpec) -> Result<(), LabError> {
    let user = rustix::process::geteuid();
    if !user.is_root() {
        return Err(LabError::NeedsRoot(user.as_raw()));
    }
    let virtual_machines = spec.nodes.iter().any(|node| node.machine == Machine::Vm);
    let wanted = ALWAYS.iter().chain(VIRTUAL.iter().filter(|_| virtual_machines));
    for (program, package) in wanted {
        find(program).ok_or(LabError::MissingProgram { program, package })?;
    }
    Ok(())
}

fn find(program: &str) -> Option<()> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|dir| is_file(&dir.join(program))).map(drop)
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file())
}
