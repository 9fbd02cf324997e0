//! A Debian that can be booted from a disk, built once by mmdebstrap, and programs run inside a copy of it.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use ostler::image::ImageError;
use ostler::image::inside::Inside;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a machine needs to be booted from a disk, entered over ssh, and nothing else.
pub const BOOTABLE: &[&str] = &[
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "udev",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
    "grub2-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "iproute2",
    "kmod",
    "e2fsprogs",
    "ssl-cert",
];

/// A tree in which programs are run as root of it.
#[derive(Debug)]
pub struct Chroot(pub PathBuf);

impl Inside for Chroot {
    fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<Output, ImageError> {
        let script =
            "root=$1; shift; mount --bind \"$root\" \"$root\" && mount -t proc proc \"$root/proc\" && exec chroot \"$root\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", script, "sh"]).arg(&self.0).args(argv);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(env.iter().copied());
        command.output().map_err(ImageError::system("start a program in the tree"))
    }

    fn tree(&self) -> PathBuf {
        self.0.clone()
    }
}

/// Returns the mirror that this machine's own apt has its packages from.
fn mirror() -> String {
    let format = "$(CREATED_BY) $(COMPONENT) $(REPO_URI)";
    let output = Command::new("apt-get").args(["indextargets", "--format", format]).output().expect("apt-get");
    let text = String::from_utf8(output.stdout).expect("text");
    let uri =
        text.lines().find_map(|line| line.strip_prefix("Packages main ").filter(|uri| uri.trim_end_matches('/').ends_with("/debian")));
    uri.expect("a Debian archive in this machine's apt configuration").to_owned()
}

/// Returns a tree of bookworm that can be booted, building it where it is missing: nobody may change it.
pub fn bootable() -> PathBuf {
    let cache = ostler::environment::Environment::read().cache.join("image-trees");
    let tree = cache.join(format!("bookworm-{}", name_of(BOOTABLE)));
    fs::create_dir_all(&cache).expect("a cache");
    let lock = fs::File::create(cache.join(".lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    if !tree.exists() {
        let half = cache.join(".half");
        remove(&half);
        let include = format!("--include={}", BOOTABLE.join(","));
        let mut command = Command::new("mmdebstrap");
        command.args(["--variant=minbase", "--aptopt=Apt::Install-Recommends \"false\"", &include, "bookworm"]).arg(&half).arg(mirror());
        let output = command.output().expect("mmdebstrap");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&half, &tree).expect("renamed");
    }
    tree
}

/// A short name for a list of packages.
fn name_of(packages: &[&str]) -> String {
    Sha256::digest(packages.join(" ")).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Copies a tree with all that its files have.
pub fn copy(from: &Path, to: &Path) -> PathBuf {
    let copied = Command::new("cp").args(["--archive", "--reflink=auto", "--no-target-directory"]).arg(from).arg(to).status().expect("cp");
    assert!(copied.success());
    to.to_owned()
}

/// Removes a tree.
pub fn remove(tree: &Path) {
    let removed = Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(tree).status().expect("rm");
    assert!(removed.success());
}
