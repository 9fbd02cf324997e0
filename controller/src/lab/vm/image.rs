//! Machine images: a sparse disk with a Debian and its own kernel, and a snapshot of it, booted. Built once, kept in the cache.

use std::cell::RefCell;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::cache::{self, CacheKey};
use super::super::child::{self, Running, run, tail};
use super::super::error::LabError;
use super::super::sources::Sources;
use super::super::spec::{LabNode, Suite};
use super::super::tree::{self, Recipe};
use super::{QemuPaths, SNAPSHOT, arguments, control};

/// Size of the disk as the guest sees it; only what is written takes room here.
const DISK_BYTES: u64 = 50 << 30;
/// A cold boot without acceleration, on a loaded machine.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
/// Saving a gigabyte of memory.
const SAVE_LIMIT: Duration = Duration::from_secs(120);

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";
/// Adds what a machine needs to a node's tree.
const PREPARE: &str = include_str!("prepare.sh");
/// Packages of a machine beside those of every node.
const MACHINE: &[&str] = &["initramfs-tools", "kmod", "linux-image-cloud-amd64", "udev", "zstd"];

/// What an image is made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImageRecipe {
    root: Recipe,
}

impl ImageRecipe {
    pub(crate) fn new(node: &LabNode) -> Self {
        let packages = node.packages.iter().cloned().chain(MACHINE.iter().map(|name| (*name).to_owned())).collect();
        Self { root: Recipe::new(node.suite, &packages) }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.root.suite
    }
}

/// Returns the image of a recipe, building it where it is missing.
pub(crate) fn ensure(cache: &Path, recipe: &ImageRecipe, sources: &Sources, progress: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, LabError> {
    let version = run(Command::new("qemu-system-x86_64").arg("--version"))?.stdout;
    let mut ingredients = CacheKey::default();
    recipe.root.describe(sources, &mut ingredients);
    ingredients.add(PREPARE.as_bytes());
    // A snapshot fits the qemu and the machine that made it, and no other.
    ingredients.add(&version);
    let nowhere = Path::new("");
    let ends =
        QemuPaths { disk: nowhere.into(), tap: String::new(), port: nowhere.into(), control: nowhere.into(), console: nowhere.into() };
    ingredients.add(arguments(nowhere, &ends).join(" ").as_bytes());
    let name = ingredients.name(&format!("{}-vm", recipe.suite()));
    cache::ensure(&cache.join("images"), &name, |half| {
        fs::create_dir(half).map_err(LabError::file("create directory", half))?;
        let root = half.join("root");
        tree::build(&recipe.root, &[PREPARE], sources, &root, progress)?;
        progress("making the disk");
        make_disk(half, &root)?;
        progress("booting it once, for the snapshot");
        make_snapshot(half)
    })
}

/// Puts the tree on a disk, its kernel beside it.
fn make_disk(image: &Path, root: &Path) -> Result<(), LabError> {
    let base = image.join("base.raw");
    let file = fs::File::create(&base).map_err(LabError::file("create", &base))?;
    file.set_len(DISK_BYTES).map_err(LabError::file("size", &base))?;
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-m", "0", "-d"]).arg(root).arg(&base))?;
    for (start, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
        let boot = root.join("boot");
        let list = fs::read_dir(&boot).map_err(LabError::file("list", &boot))?;
        let found = list.filter_map(Result::ok).find(|entry| entry.file_name().to_string_lossy().starts_with(start));
        let found = found.ok_or_else(|| LabError::Spec(format!("{} has no {start}*", boot.display())))?.path();
        fs::copy(&found, image.join(name)).map_err(LabError::file("copy", &found))?;
    }
    run(Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(root))?;
    let size = DISK_BYTES.to_string();
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(image.join("machine.qcow2")).arg(size)).map(drop)
}

/// Boots the disk in a network of its own and saves the machine once its root shell answers.
fn make_snapshot(image: &Path) -> Result<(), LabError> {
    let ends = QemuPaths {
        disk: image.join("machine.qcow2"),
        tap: "tap0".into(),
        port: image.join("port.sock"),
        control: image.join("qmp.sock"),
        console: image.join("console.log"),
    };
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "qemu-system-x86_64"]).args(arguments(image, &ends));
    let words = image.join("qemu.log");
    let log = fs::File::create(&words).map_err(LabError::file("create", &words))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    let qemu = command.spawn().map_err(|source| LabError::Start { command: QEMU.into(), source })?;
    save(RefCell::new(Running(qemu)), &ends).map_err(|error| match tail(&fs::read_to_string(&words).unwrap_or_default()) {
        said if said.is_empty() => error,
        said => LabError::Refused(format!("{}; {QEMU} said: {said}", error.chain())),
    })?;
    for left in [&ends.port, &ends.control, &words] {
        let _ = fs::remove_file(left);
    }
    Ok(())
}

/// Waits for the machine's root shell, saves the machine and ends it.
fn save(qemu: RefCell<Running>, ends: &QemuPaths) -> Result<(), LabError> {
    let pulse = || match qemu.borrow_mut().0.try_wait() {
        Ok(None) => Ok(()),
        Ok(Some(status)) => Err(LabError::Refused(format!("{QEMU} ended with {status}"))),
        Err(error) => Err(LabError::system("wait for qemu")(error)),
    };
    control::talk(&ends.port, "systemctl is-system-running --wait >/dev/null; sync", BOOT_LIMIT, &pulse)?;
    control::monitor(&ends.control, &[&format!("savevm {SNAPSHOT}")], SAVE_LIMIT, &pulse)?;
    control::quit(&ends.control, SAVE_LIMIT);
    // One that does not end may not have written all of it.
    child::wait(&mut qemu.into_inner().0, QEMU, SAVE_LIMIT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_qemu_that_ends_at_once_is_named_at_once_with_its_own_words() {
        let dir = tempfile::tempdir().expect("scratch");
        let begun = Instant::now();
        let failed = make_snapshot(dir.path()).expect_err("there is no disk").to_string();
        assert!(failed.starts_with("qemu-system-x86_64 ended with exit status: 1; qemu-system-x86_64 said: "), "{failed}");
        if rustix::process::geteuid().is_root() {
            assert!(failed.contains("machine.qcow2") && failed.contains("No such file or directory"), "{failed}");
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
