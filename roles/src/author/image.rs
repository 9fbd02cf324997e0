//! `images/NAME.yaml` as meant: names and shapes checked, expressions only in the values of `vars`.

use super::role::{Name, Need};
use super::source::Spanned;
use crate::words::{AbsPath, Bytes, Digest, Span};

/// An image: a machine that is made once and handed to many.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name, which is the file's; spelt as a [`crate::words::ImageName`].
    pub name: Name,
    /// One sentence.
    pub summary: Spanned<String>,
    /// What it stands on; the place is that of the suite, the path, the name.
    pub base: Spanned<Base>,
    /// The group or node that it is like; none where `roles` alone say what it is.
    pub like: Option<Like>,
    /// Roles of its own, after those of whom it is like.
    pub roles: Vec<Name>,
    /// Values for parameters, stronger than those of whom it is like.
    pub vars: Vec<Need>,
    /// The virtual size of its disk; none where every format grows, or is no disk.
    pub size: Option<Spanned<Bytes>>,
    /// What it is written as; none twice.
    pub formats: Vec<Format>,
    /// How many builds are kept.
    pub keep: u32,
    /// The file system of its root.
    pub filesystem: Filesystem,
    /// How it can be booted; none twice.
    pub firmware: Vec<Firmware>,
    /// The serial console, as the kernel's `console=` takes it: `ttyS0,115200n8`; none: the screen alone.
    pub console: Option<String>,
    /// What becomes of steps that hold secrets.
    pub secrets: BakedSecrets,
    /// What sealing takes out beside what it always does.
    pub seal: Vec<Spanned<AbsPath>>,
    /// What becomes of apt's lists.
    pub apt_lists: AptLists,
    /// When a step ends a layer by itself.
    pub checkpoint: Checkpoint,
}

/// What an image stands on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Base {
    /// Packages of a distribution.
    Debootstrap {
        /// The suite: one of a system that this release knows.
        suite: String,
        /// URLs; empty: those of the builder's own apt configuration.
        mirrors: Vec<String>,
        /// Components; empty: those of that configuration, or `main`.
        components: Vec<String>,
    },
    /// A cloud's disk.
    CloudImage {
        /// Where it is.
        from: DiskSource,
        /// Its digest; there for every URL.
        sha256: Option<Digest>,
    },
    /// A directory, or an archive of one.
    Tree {
        /// Below the site, or absolute.
        path: String,
        /// The archive's digest; a directory has none.
        sha256: Option<Digest>,
    },
    /// Another image of the site.
    Image(String),
}

/// Where a disk comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskSource {
    /// It is fetched, by `https://` or `http://`.
    Url(String),
    /// A file, below the site or absolute.
    File(String),
}

/// Whom an image is like: it has the roles, the variables and the requirements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Like {
    /// Any node of a group.
    Group(Name),
    /// One node.
    Node(Name),
}

/// What an image is written as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Format {
    /// A compressed disk of the size that the image says.
    Qcow2,
    /// A disk of its content and a fifth, sparse.
    Raw,
    /// The tree as an archive.
    Tar,
    /// The tree as a container image.
    Oci,
    /// A disk as Vagrant's libvirt provider takes it.
    Box,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Qcow2, Self::Raw, Self::Tar, Self::Oci, Self::Box];

    /// How it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Tar => "tar",
            Self::Oci => "oci",
            Self::Box => "box",
        }
    }

    /// Whether a machine boots from it.
    #[must_use]
    pub const fn is_disk(self) -> bool {
        matches!(self, Self::Qcow2 | Self::Raw | Self::Box)
    }

    /// Whether its size has to be said: what it holds does not say it.
    #[must_use]
    pub const fn wants_size(self) -> bool {
        matches!(self, Self::Qcow2 | Self::Box)
    }
}

/// File systems of a root. Others are read in a base, not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filesystem {
    /// Made without a mount, by `mke2fs -d`.
    Ext4,
}

/// Ways to boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Firmware {
    /// From the first sectors of the disk.
    Bios,
    /// From a file of the EFI system partition.
    Uefi,
}

/// What becomes of steps that hold secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BakedSecrets {
    /// They are faults.
    Refused,
    /// They are baked: whoever has the image has the secrets.
    Baked,
}

/// What becomes of apt's lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AptLists {
    /// They stay, as old as the image.
    Keep,
    /// They go. A machine that is asked for an offer asks its sources where no list is.
    Drop,
}

/// When a step ends a layer of the build by itself; every role does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// It took longer.
    pub after: Span,
    /// It wrote more.
    pub bytes: Bytes,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { after: Span::seconds(30), bytes: Bytes(128 << 20) }
    }
}

/// How many builds are kept where nothing is written: the one in use, and the one to go back to.
pub const KEEP: u32 = 2;

/// The serial console where nothing is written: that of a PC, which qemu and the clouds record.
pub const CONSOLE: &str = "ttyS0";

/// The smallest disk: a root with a kernel, its initrd, an ESP and room to begin with.
pub const LEAST_SIZE: Bytes = Bytes(1 << 30);

/// The largest disk: as a sparse file it must fit in a file system of the builder, and of ext4 a file has no more (4 KiB blocks; kernel,
/// Documentation/filesystems/ext4/overview.rst).
pub const MOST_SIZE: Bytes = Bytes(16 << 40);

/// The suites that a base may be made of, and the systems that they are.
pub const SUITES: [(&str, &str); 5] =
    [("bullseye", "debian-11"), ("bookworm", "debian-12"), ("trixie", "debian-13"), ("jammy", "ubuntu-22.04"), ("noble", "ubuntu-24.04")];
