//! Every kind and every field as data: one table for lowering, "unknown field … nearest", the schema and the reference.

mod checks;
mod site;
mod steps;
mod types;

pub use site::{BUILDBOT, EXECUTOR, JENKINS, LAB, LATER_MASTERS, SSH};
pub use types::{FieldSpec, KindSpec, Rule, ScalarType, Shape};

/// Where in a role a step stands; the same word may be another kind there (`command`, `package`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `steps`: resources.
    Steps,
    /// `require`: checks before anything changes.
    Require,
    /// `verify`: checks after the steps.
    Verify,
    /// `smoke`: commands run as a job.
    Smoke,
}

impl Place {
    /// Its key in a role.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Require => "require",
            Self::Verify => "verify",
            Self::Smoke => "smoke",
        }
    }
}

/// The kinds of this release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each is documented by its table")]
pub enum Kind {
    Package,
    File,
    Directory,
    Link,
    User,
    Group,
    AuthorizedKey,
    Line,
    Service,
    Sysctl,
    KernelModule,
    Command,
    GitCache,
    Download,
    Disk,
    Kernel,
    Memory,
    /// `package` as a check: it installs nothing.
    PackageCheck,
    Connect,
    Virtualization,
    Assert,
    System,
    Login,
    /// `command` as a check: no guard, must not write.
    Probe,
}

impl Kind {
    /// All kinds, resources first.
    pub const ALL: [Self; 24] = [
        Self::Package,
        Self::File,
        Self::Directory,
        Self::Link,
        Self::User,
        Self::Group,
        Self::AuthorizedKey,
        Self::Line,
        Self::Service,
        Self::Sysctl,
        Self::KernelModule,
        Self::Command,
        Self::GitCache,
        Self::Download,
        Self::Disk,
        Self::Kernel,
        Self::Memory,
        Self::PackageCheck,
        Self::Connect,
        Self::Virtualization,
        Self::Assert,
        Self::System,
        Self::Login,
        Self::Probe,
    ];

    /// Its table.
    #[must_use]
    pub const fn spec(self) -> &'static KindSpec {
        match self {
            Self::Package => &steps::PACKAGE,
            Self::File => &steps::FILE,
            Self::Directory => &steps::DIRECTORY,
            Self::Link => &steps::LINK,
            Self::User => &steps::USER,
            Self::Group => &steps::GROUP,
            Self::AuthorizedKey => &steps::AUTHORIZED_KEY,
            Self::Line => &steps::LINE,
            Self::Service => &steps::SERVICE,
            Self::Sysctl => &steps::SYSCTL,
            Self::KernelModule => &steps::KERNEL_MODULE,
            Self::Command => &steps::COMMAND,
            Self::GitCache => &steps::GIT_CACHE,
            Self::Download => &steps::DOWNLOAD,
            Self::Disk => &checks::DISK,
            Self::Kernel => &checks::KERNEL,
            Self::Memory => &checks::MEMORY,
            Self::PackageCheck => &checks::PACKAGE,
            Self::Connect => &checks::CONNECT,
            Self::Virtualization => &checks::VIRTUALIZATION,
            Self::Assert => &checks::ASSERT,
            Self::System => &checks::SYSTEM,
            Self::Login => &checks::LOGIN,
            Self::Probe => &checks::PROBE,
        }
    }

    /// The word people write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.spec().word
    }

    /// Whether it is a check: observed and never applied.
    #[must_use]
    pub fn is_check(self) -> bool {
        !self.allowed_in(Place::Steps)
    }

    /// Whether it may stand there.
    #[must_use]
    pub fn allowed_in(self, place: Place) -> bool {
        self.spec().places.contains(&place)
    }

    /// The kind that a word means at a place.
    #[must_use]
    pub fn named(word: &str, place: Place) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word && kind.allowed_in(place))
    }

    /// The kind of a step that a word means anywhere: what names in triggers begin with.
    #[must_use]
    pub fn resource(word: &str) -> Option<Self> {
        Self::named(word, Place::Steps)
    }
}

/// Words of the language that later releases will read; refused by name.
pub const LATER_KINDS: [&str; 37] = [
    "apt_source",
    "authorized_keys",
    "ca_certificate",
    "clock",
    "cpu",
    "database",
    "first_boot",
    "gearman",
    "hostname",
    "http",
    "image_cache",
    "iscsi",
    "jenkins_plugins",
    "kernel_headers",
    "known_host",
    "mount",
    "mount_options",
    "package_cache",
    "package_timers",
    "port_free",
    "processes",
    "python_site_hook",
    "reboot",
    "script",
    "ssh_key",
    "swap",
    "time_sync",
    "timer",
    "timezone",
    "tls_certificate",
    "tmpfiles",
    "unit",
    "venv",
    "wait_for",
    "workspace",
    "docker_image",
    "hosts_entry",
];
