//! `ostler image`.

mod builds;

pub use builds::{BuildsArgs, ImageDiffArgs, ImageHoldArgs, ImageLsArgs, ImageRevertArgs, ImageRmArgs, ImageShowArgs};

use super::ValueArgs;
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Build images of machines from the site's roles
///
/// An image is baked by the same roles that make live nodes: images/NAME.yaml of the site says
/// which. `plan`, `build` and `dib` need root.
///
/// Examples:
///   ostler image plan noble
///   ostler image build noble --format qcow2,tar
///   ostler image diff noble@1 noble
///   ostler image verify noble
///   ostler image dib -t qcow2,raw --checksum -o /var/lib/nodepool/images/noble-1 noble
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct ImageArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ImageVerb,
}

/// What to do with images.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the one of the arguments, which is the help")]
pub enum ImageVerb {
    Plan(ImagePlanArgs),
    Build(ImageBuildArgs),
    Ls(ImageLsArgs),
    Show(ImageShowArgs),
    Diff(ImageDiffArgs),
    Hold(ImageHoldArgs),
    Rm(ImageRmArgs),
    Revert(ImageRevertArgs),
    Verify(ImageVerifyArgs),
    Dib(Box<DibArgs>),
}

/// Show what a build would do
///
/// Which layers are kept and which made, why, by which steps; what is left to the machines that are made of it; the room that the build
/// needs, which is refused where there is less. Nothing is made: of a base that is missing, its system is assumed.
#[derive(Debug, Clone, Args)]
pub struct ImagePlanArgs {
    /// An image of the site
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Formats, in place of those of the image's file: qcow2, raw, tar, oci, box
    #[arg(long, value_name = "FORMATS", value_delimiter = ',')]
    pub format: Vec<String>,
    /// Where builds are kept; by default with the state of the site
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// Build an image
///
/// Files are NAME-BUILD.FORMAT with their sums, and NAME-BUILD.d with manifests; `current` leads to the newest build. What fails leaves the
/// layers that were made whole: the next build goes on from there.
#[derive(Debug, Clone, Args)]
pub struct ImageBuildArgs {
    /// An image of the site
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Formats, in place of those of the image's file: qcow2, raw, tar, oci, box
    #[arg(long, value_name = "FORMATS", value_delimiter = ',')]
    pub format: Vec<String>,
    /// Where builds are kept; by default with the state of the site
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to do where a step fails: `shell` opens one in the tree as it is then
    #[arg(long, value_name = "WHAT")]
    pub on_error: Option<OnError>,
    /// Values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// What to do where a step of a build fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Tell it and end
    Stop,
    /// Open a shell in the tree first
    Shell,
}

/// Boot a build and demand that nothing is left to change
///
/// Clones of its qcow2 or raw are booted in qemu, which runs no network but a way in: each has to end its first boot without a failed
/// service, has to have an identity of its own, and its plan has to be empty for all that was not left out of the image; requirements and
/// proofs of its roles have to hold. Nothing of a clone stays.
#[derive(Debug, Clone, Args)]
pub struct ImageVerifyArgs {
    /// An image of the site, and which of its builds; the current one where that is left out
    #[arg(value_name = "NAME[@BUILD]")]
    pub build: String,
    /// What to boot it by; by default all that the image's file says
    #[arg(long, value_name = "FIRMWARE", value_delimiter = ',')]
    pub firmware: Vec<BootBy>,
    /// How many clones at least; two or more have to differ
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub instances: u8,
    /// Where builds are kept; by default with the state of the site
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// What starts a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BootBy {
    /// SeaBIOS
    Bios,
    /// OVMF, without secure boot
    Uefi,
}

/// Build as nodepool-builder's `dib-cmd`: the arguments of disk-image-create
///
/// In nodepool.yaml: `dib-cmd: ostler -C /srv/site image dib`, `elements: [NAME]` with an image of the site. The site is that of -C,
/// OSTLER_SITE, or the first directory of ELEMENTS_PATH (`elements-dir`) with an ostler.yaml. Leaves OUT.FORMAT, with --checksum its sums
/// OUT.FORMAT.md5 and OUT.FORMAT.sha256, and OUT.d with manifests, or nothing and an exit status that is not 0.
///
/// DIB_RELEASE, DIB_IMAGE_NAME, DIB_IMAGE_CACHE, DIB_CHECKSUM and DIB_DEBUG_TRACE are read from the environment. Accepted, and needed for
/// nothing: --no-tmpfs, --min-tmpfs, -c, -n. Every other option of disk-image-create is refused by name, with what to use.
#[derive(Debug, Clone, Args)]
pub struct DibArgs {
    /// Tell more
    #[arg(short = 'x', action = ArgAction::Count)]
    pub trace: u8,
    /// Formats: qcow2, raw, tar
    #[arg(short = 't', value_name = "FORMATS", value_delimiter = ',', default_value = "qcow2")]
    pub formats: Vec<String>,
    /// Write OUT.FORMAT.md5 and OUT.FORMAT.sha256 too
    #[arg(long)]
    pub checksum: bool,
    /// Where the files go: a path without the format's suffix
    #[arg(short = 'o', value_name = "OUT", default_value = "image")]
    pub out: PathBuf,
    /// `compat=0.10` or `compat=1.1`: the version of the qcow2, which is compressed by zlib in both
    #[arg(long, value_name = "OPTIONS")]
    pub qemu_img_options: Option<String>,
    /// Do not compress the qcow2
    #[arg(short = 'u')]
    pub uncompressed: bool,
    /// The architecture: this machine's
    #[arg(short = 'a', value_name = "ARCH")]
    pub architecture: Option<String>,
    /// Where to keep layers and downloads; DIB_IMAGE_CACHE says the same
    #[arg(long, value_name = "DIR")]
    pub image_cache: Option<PathBuf>,
    /// An image of the site
    #[arg(value_name = "NAME")]
    pub elements: Vec<String>,
    /// Accepted.
    #[command(flatten)]
    pub harmless: HarmlessArgs,
    /// Refused.
    #[command(flatten)]
    pub refused: RefusedArgs,
}

/// Options of disk-image-create that are needed for nothing
#[derive(Debug, Clone, Args)]
pub struct HarmlessArgs {
    /// A build never works in a tmpfs
    #[arg(long, hide = true)]
    pub no_tmpfs: bool,
    /// The same
    #[arg(long, hide = true)]
    pub min_tmpfs: Option<String>,
    /// No variable reaches a build
    #[arg(short = 'c', hide = true)]
    pub clear: bool,
    /// No element is there unasked
    #[arg(short = 'n', hide = true)]
    pub no_base: bool,
}

/// Options of disk-image-create that ask for what a build does not do
#[derive(Debug, Clone, Args)]
#[expect(missing_docs, reason = "each is refused by its name, with what to use; see `image::dib::REFUSED`")]
pub struct RefusedArgs {
    #[arg(short = 'p', hide = true)]
    pub packages: Vec<String>,
    #[arg(long, hide = true)]
    pub logfile: Option<String>,
    #[arg(long, hide = true)]
    pub offline: bool,
    #[arg(long, hide = true)]
    pub image_size: Option<String>,
    #[arg(long, hide = true)]
    pub image_extra_size: Option<String>,
    #[arg(long, hide = true)]
    pub max_online_resize: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub mkfs_options: Option<String>,
    #[arg(long, hide = true)]
    pub mkfs_journal_size: Option<String>,
    #[arg(long, hide = true)]
    pub root_label: Option<String>,
    #[arg(long, hide = true)]
    pub ramdisk_element: Option<String>,
    #[arg(long, hide = true)]
    pub install_type: Option<String>,
    #[arg(long, hide = true)]
    pub docker_target: Option<String>,
}

impl RefusedArgs {
    /// Those that were given, by their names.
    pub fn given(&self) -> Vec<&'static str> {
        let named = [
            ("-p", !self.packages.is_empty()),
            ("--logfile", self.logfile.is_some()),
            ("--offline", self.offline),
            ("--image-size", self.image_size.is_some()),
            ("--image-extra-size", self.image_extra_size.is_some()),
            ("--max-online-resize", self.max_online_resize.is_some()),
            ("--mkfs-options", self.mkfs_options.is_some()),
            ("--mkfs-journal-size", self.mkfs_journal_size.is_some()),
            ("--root-label", self.root_label.is_some()),
            ("--ramdisk-element", self.ramdisk_element.is_some()),
            ("--install-type", self.install_type.is_some()),
            ("--docker-target", self.docker_target.is_some()),
        ];
        named.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}
