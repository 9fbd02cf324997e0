//! What must be there before a lab can come up: root, and the programs it runs.

use std::path::{Path, PathBuf};

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
pub(crate) fn check(spec: &LabSpec, search: &[PathBuf]) -> Result<(), LabError> {
    let user = rustix::process::geteuid();
    if !user.is_root() {
        return Err(LabError::NeedsRoot(user.as_raw()));
    }
    let virtual_machines = spec.nodes.iter().any(|node| node.machine == Machine::Vm);
    let wanted = ALWAYS.iter().chain(VIRTUAL.iter().filter(|_| virtual_machines));
    for (program, package) in wanted {
        let found = search.iter().any(|dir| is_file(&dir.join(program)));
        if !found {
            return Err(LabError::MissingProgram { program, package });
        }
    }
    Ok(())
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        if !rustix::process::geteuid().is_root() {
            let refused = check(&LabSpec::default(), &[]).expect_err("refused").to_string();
            assert!(refused.starts_with("the lab needs root"), "{refused}");
            return;
        }
        let refused = check(&LabSpec::default(), &[]).expect_err("refused").to_string();
        assert_eq!(refused, "program `setpriv` is missing; install it with: apt-get install util-linux");
    }
}
