//! What is mounted of a root tree: the overlay of its layers, and what no tree has of itself. Done by its first process, in a mount
//! namespace of its own: nothing here has to be undone.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, mount_remount, move_mount, open_tree, unmount,
};

use super::super::error::ImageError;
use super::protocol::{HOME, Setup, own};

/// Beside these there is nothing: `index` keeps hard links together when a file is copied up, `volatile` leaves out what the store does once, when
/// a layer is whole (Documentation/filesystems/overlayfs.rst).
const OPTIONS: &str = "metacopy=off,redirect_dir=off,index=on";

/// Files that are bound over the tree's: their names in [`own::PLANT`], and where. None that a role may write: what is mounted on can be neither
/// renamed nor replaced.
pub(super) const PLANTED: [(&str, &str); 2] = [("policy-rc.d", "/usr/sbin/policy-rc.d"), ("dpkg.cfg", "/etc/dpkg/dpkg.cfg.d/ostler-image")];

/// Directories on which a root mounts.
pub(super) const POINTS: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];

/// Nodes of a tree's own /dev, all of major number 1 but the last (Documentation/admin-guide/devices.txt).
const NODES: [(&str, u32, u32); 6] = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// Names of a tree's own /dev that lead elsewhere.
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Makes the tree the root of this mount namespace, with all that belongs in it.
pub(super) fn stand_on(setup: &Setup) -> Result<(), ImageError> {
    let tree = setup.scratch.join(own::TREE);
    overlay(setup)?;
    let taken = |from: PathBuf, to: &Path, read_only| Ok::<_, ImageError>(Taken { from: take(&from)?, to: to.to_owned(), read_only });
    let mut brought = Vec::new();
    if !setup.bare {
        brought.push(taken(setup.scratch.join(own::TMP), Path::new("/tmp"), false)?);
    }
    for (name, to) in PLANTED.iter().filter(|_| !setup.bare) {
        brought.push(taken(setup.scratch.join(own::PLANT).join(name), Path::new(to), true)?);
    }
    for bind in &setup.binds {
        brought.push(taken(bind.from.clone(), &bind.to, bind.read_only)?);
    }
    pivot(&tree)?;
    if !setup.bare {
        kernel_views()?;
        devices()?;
        memory(Path::new("/run"), "mode=755,size=64m")?;
        for (dir, mode) in [("/run/lock", 0o1777), (HOME, 0o700)] {
            directory(Path::new(dir), mode)?;
        }
    }
    brought.into_iter().try_for_each(Taken::put)
}

/// Mounts the layers on one another. Names are links with short names: all options share a page, and a path may hold a colon.
fn overlay(setup: &Setup) -> Result<(), ImageError> {
    let names = setup.scratch.join(own::NAMES);
    let name = |target: &Path, name: &str| symlink(target, names.join(name)).map_err(ImageError::file("name a layer in", &names));
    let mut lower = Vec::new();
    for (number, layer) in setup.layers.iter().rev().enumerate() {
        name(layer, &number.to_string())?;
        lower.push(number.to_string());
    }
    name(&setup.scratch.join(own::POINTS), "p")?;
    lower.push("p".to_owned());
    let mut options = format!("lowerdir={},{OPTIONS}", lower.join(":"));
    let mut flags = MountFlags::RDONLY;
    if let Some((upper, work)) = &setup.upper {
        name(upper, "u")?;
        name(work, "w")?;
        // Left by a root on the same directories that was killed: all that it wrote there goes on being written (overlayfs.rst, "Volatile mount").
        let _ = fs::remove_dir_all(work.join("work/incompat"));
        options.push_str(",upperdir=u,workdir=w,volatile");
        flags = MountFlags::empty();
    }
    std::env::set_current_dir(&names).map_err(ImageError::file("enter", &names))?;
    let data = CString::new(options).map_err(|error| ImageError::file("mount", &names)(error.into()))?;
    let tree = setup.scratch.join(own::TREE);
    mount("overlay", &tree, "overlay", flags, data.as_c_str()).map_err(|error| ImageError::file("mount the layers on", &tree)(error.into()))
}

/// Makes the tree the root, and lets go of the machine's.
fn pivot(tree: &Path) -> Result<(), ImageError> {
    let failed = |what| ImageError::system::<rustix::io::Errno>(what);
    std::env::set_current_dir(tree).map_err(ImageError::file("enter", tree))?;
    // The old root lies on the new one for a moment (pivot_root(2), "pivot_root(".", ".")").
    rustix::process::pivot_root(".", ".").map_err(failed("make the tree the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(failed("let go of the machine's root"))?;
    std::env::set_current_dir("/").map_err(ImageError::file("enter", Path::new("/")))
}

/// Mounts /proc and /sys, in which nothing of the machine's can be set.
fn kernel_views() -> Result<(), ImageError> {
    let guarded = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let at = |path: &'static str| move |error: rustix::io::Errno| ImageError::file("mount", Path::new(path))(error.into());
    mount("proc", "/proc", "proc", guarded, None).map_err(at("/proc"))?;
    // The latter is there where the kernel was built with it.
    for fixed in ["/proc/sys", "/proc/sysrq-trigger"].into_iter().filter(|fixed| Path::new(fixed).exists()) {
        mount_bind(fixed, fixed).map_err(at(fixed))?;
        mount_remount(fixed, MountFlags::BIND | MountFlags::RDONLY | guarded, "").map_err(at(fixed))?;
    }
    mount("sysfs", "/sys", "sysfs", guarded | MountFlags::RDONLY, None).map_err(at("/sys"))
}

/// Makes a small /dev of its own: what happens to it happens to nobody else's.
fn devices() -> Result<(), ImageError> {
    let dev = Path::new("/dev");
    memory(dev, "mode=755,size=1m")?;
    for (name, major, minor) in NODES {
        let path = dev.join(name);
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))
            .map_err(|error| ImageError::file("make the device", &path)(error.into()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(ImageError::file("open to all", &path))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).map_err(ImageError::file("link", &dev.join(name)))?;
    }
    let (pts, shm) = (dev.join("pts"), dev.join("shm"));
    directory(&pts, 0o755)?;
    directory(&shm, 0o1777)?;
    let guarded = MountFlags::NOSUID | MountFlags::NOEXEC;
    // 5 is the group `tty` of every Debian (base-passwd).
    mount("devpts", &pts, "devpts", guarded, c"newinstance,ptmxmode=0666,mode=0620,gid=5")
        .map_err(|error| ImageError::file("mount", &pts)(error.into()))?;
    memory(&shm, "mode=1777,size=64m")
}

fn memory(at: &Path, options: &str) -> Result<(), ImageError> {
    let options = CString::new(options).map_err(|error| ImageError::file("mount", at)(error.into()))?;
    mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV.difference(device_flag(at)), options.as_c_str())
        .map_err(|error| ImageError::file("mount", at)(error.into()))
}

/// Devices work in /dev alone.
fn device_flag(at: &Path) -> MountFlags {
    if at == Path::new("/dev") { MountFlags::NODEV } else { MountFlags::empty() }
}

fn directory(path: &Path, mode: u32) -> Result<(), ImageError> {
    let made = fs::create_dir(path).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)));
    made.map_err(ImageError::file("create directory", path))
}

/// Something of the machine, taken while its root is still there.
struct Taken {
    from: OwnedFd,
    to: PathBuf,
    read_only: bool,
}

fn take(from: &Path) -> Result<OwnedFd, ImageError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, from, flags).map_err(|error| ImageError::file("bind", from)(error.into()))
}

impl Taken {
    /// Puts it in its place in the tree; on a link, not where that leads: a link is what would stay in the tree.
    fn put(self) -> Result<(), ImageError> {
        let failed = |error: rustix::io::Errno| ImageError::file("bind over", &self.to)(error.into());
        move_mount(&self.from, "", CWD, &self.to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(failed)?;
        if self.read_only {
            mount_remount(&self.to, MountFlags::BIND | MountFlags::RDONLY, "").map_err(failed)?;
        }
        Ok(())
    }
}
