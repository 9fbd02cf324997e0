//! What nodepool-builder, or a person who is used to `disk-image-create`, asks for: arguments and environment, read once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::environment::Variables;
use crate::image::ImageError;

/// The arguments, option by option as disk-image-create 3.43 documents them (diskimage_builder/lib/disk-image-create, `show_options`).
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `-a`
    pub architecture: Option<String>,
    /// `-o`
    pub out: Option<PathBuf>,
    /// `-t`
    pub formats: Vec<String>,
    /// `-x`, so many times
    pub trace: u8,
    /// `-u`
    pub is_uncompressed: bool,
    /// `--checksum`
    pub has_checksum: bool,
    /// `--qemu-img-options`
    pub qemu_img_options: Option<String>,
    /// `--image-cache`
    pub cache: Option<PathBuf>,
    /// Those of [`REFUSED`] that were given, by their names there.
    pub refused: Vec<&'static str>,
    /// The elements.
    pub elements: Vec<String>,
}

/// Options and variables that ask for something that a build does not do, with what to use. Each is refused by its name.
pub const REFUSED: &[(&str, &str)] = &[
    ("-p", "name packages in a role of the image: `- package: {install: [git]}`"),
    ("--logfile", "the log is standard output: `ostler image dib … > FILE 2>&1`"),
    ("--offline", "leave it out: what is cached and still right is not fetched again; `ostler image build NAME --locked` asks nobody"),
    ("--image-size", "write `size: 20 GiB` in the image's file; the root file system grows at first boot"),
    ("--image-extra-size", "write `size: 20 GiB` in the image's file; the root file system grows at first boot"),
    ("--max-online-resize", "leave it out: the root file system grows at first boot to its disk"),
    ("--mkfs-options", "leave it out: the file system is made the same way everywhere, so that two builds are equal"),
    ("--mkfs-journal-size", "leave it out: the file system is made the same way everywhere, so that two builds are equal"),
    ("--root-label", "leave it out: the root file system is found by its UUID"),
    ("--ramdisk-element", "ramdisks are not made here; disk-image-create makes them"),
    ("--install-type", "leave it out: a role says what it installs and where from"),
    ("--docker-target", "`ostler image build NAME --format oci` writes a file that `docker load` takes"),
    ("DIB_OFFLINE", "leave it out: what is cached and still right is not fetched again"),
    ("DIB_IMAGE_SIZE", "write `size: 20 GiB` in the image's file"),
    ("DIB_IMAGE_EXTRA_SIZE", "write `size: 20 GiB` in the image's file"),
    ("DIB_JOURNAL_SIZE", "leave it out: the file system is made the same way everywhere"),
];

/// Options and variables that a build can go without: what they ask for holds anyway, or means nothing here.
pub const HARMLESS: &[(&str, &str)] = &[
    ("--no-tmpfs", "a build never works in a tmpfs"),
    ("--min-tmpfs", "a build never works in a tmpfs"),
    ("-c", "no variable but those named here reaches a build"),
    ("-n", "no element is there unasked"),
    ("DIB_NO_TMPFS", "a build never works in a tmpfs"),
    ("DIB_MIN_TMPFS", "a build never works in a tmpfs"),
    ("DIB_IMAGE_FILENAME", "the builder says the same with `-o`"),
    ("DIB_NO_TIMESTAMP", "no line of the log has a time before it"),
    ("DIB_LOCKFILES", "locks lie in the cache"),
    ("DIB_PYTHON_EXEC", "no Python runs"),
    ("DIB_GZIP_BIN", "no gzip runs"),
    ("TMPDIR", "what is written aside lies beside the image"),
];

/// Formats of disk-image-create that are not made here, with what to use.
pub const UNKNOWN_FORMATS: &[(&str, &str)] = &[
    ("vhd", "ask for raw, and let `qemu-img convert -O vpc` follow"),
    ("tgz", "ask for tar, and let `gzip` follow"),
    ("squashfs", "ask for tar, and let `sqfstar` follow"),
    ("docker", "`ostler image build NAME --format oci` writes a file that `docker load` takes"),
    ("aci", "`ostler image build NAME --format oci` is what followed it"),
];

/// Options and variables that are honoured, with what they do.
pub const HONOURED: &[(&str, &str)] = &[
    ("-t", "which files are made: qcow2, raw, tar; without it qcow2"),
    ("-o", "where: OUT.FORMAT, OUT.FORMAT.md5, OUT.FORMAT.sha256, OUT.d; without it ./image"),
    ("--checksum", "the two files of sums beside each"),
    ("--qemu-img-options", "`compat=0.10` or `compat=1.1`; nothing else"),
    ("-u", "the qcow2 is not compressed"),
    ("-x", "more is told"),
    ("-a", "this machine's architecture; another is refused"),
    ("--image-cache", "where layers and downloads are kept"),
    ("-h", "help"),
    ("--help", "help"),
    ("--version", "the version of ostler"),
    ("ELEMENTS_PATH", "where neither `-C` nor OSTLER_SITE is given, the first of its directories with an ostler.yaml is the site"),
    ("DIB_RELEASE", "the image's base must be of this release; empty: any"),
    ("DIB_IMAGE_NAME", "is told in the log"),
    ("DIB_IMAGE_CACHE", "as `--image-cache`"),
    ("DIB_CHECKSUM", "any value but `0`: as `--checksum`"),
    ("DIB_DEBUG_TRACE", "as `-x`, so many times"),
];

/// A file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Compressed by zlib, unless `-u`.
    Qcow2,
    /// Sparse.
    Raw,
    /// The tree alone.
    Tar,
}

impl Format {
    /// Its name, and the suffix of its file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Tar => "tar",
        }
    }
}

/// What a qcow2 must be readable by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// Version 2 of the format: `compat=0.10`, as nodepool-builder always wants it.
    Old,
    /// Version 3: `compat=1.1`.
    #[default]
    New,
}

/// A build that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DibRequest {
    /// The one element: an image of the site.
    pub image: String,
    /// The files wanted, each once, sorted.
    pub formats: Vec<Format>,
    /// `-o`, absolute and without a suffix: files are `OUT.FORMAT`.
    pub out: PathBuf,
    /// Whether sums are written beside each.
    pub has_checksum: bool,
    /// The version of the qcow2. It is always compressed by zlib: version 2 has no other, and who reads it is not known.
    pub compat: Compat,
    /// Whether a qcow2 is compressed.
    pub is_compressed: bool,
    /// `DIB_RELEASE`, `release` of the diskimage: the image's base must be of it.
    pub release: Option<String>,
    /// `DIB_IMAGE_NAME`: the diskimage's name at the builder.
    pub known_as: Option<String>,
    /// Where to keep layers and downloads, in place of the account's cache.
    pub cache: Option<PathBuf>,
    /// How much more is told.
    pub trace: u8,
    /// Other `DIB_*` variables: for elements, which there are none of. They are told, so that nobody waits for their effect.
    pub unread: Vec<String>,
}

impl DibRequest {
    /// Reads it.
    ///
    /// # Errors
    /// Everything that cannot be done as asked, each by its name, at once.
    pub fn read(asked: &Asked, variables: &Variables) -> Result<Self, ImageError> {
        let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let mut faults: Vec<(String, String)> = Vec::new();
        let advice = |name: &str| REFUSED.iter().find(|(refused, _)| *refused == name).map_or("", |(_, advice)| *advice);
        let by_variable = REFUSED.iter().map(|(name, _)| *name).filter(|name| set(name).is_some_and(|value| value != "0"));
        for name in asked.refused.iter().copied().chain(by_variable) {
            faults.push((format!("`{name}` is not for image builds"), advice(name).to_owned()));
        }
        if let Some(architecture) = asked.architecture.as_deref().filter(|name| *name != own_architecture()) {
            let what = format!("`-a {architecture}`: this machine builds {} alone", own_architecture());
            faults.push((what, "build it on a machine of that architecture".to_owned()));
        }
        let formats = formats(&asked.formats, &mut faults);
        let compat = compat(asked.qemu_img_options.as_deref().unwrap_or_default(), &mut faults);
        let image = element(&asked.elements, &mut faults);
        if !faults.is_empty() {
            let (what, hints): (Vec<_>, Vec<_>) = faults.into_iter().unzip();
            let each: BTreeSet<String> = hints.into_iter().collect();
            return Err(ImageError::refused(what.join("; "), each.into_iter().collect::<Vec<_>>().join("; ")));
        }
        let out = out(asked.out.as_deref().unwrap_or(Path::new("image")), &formats)?;
        let cache = asked.cache.clone().or_else(|| set("DIB_IMAGE_CACHE").map(PathBuf::from));
        let trace = set("DIB_DEBUG_TRACE").and_then(|value| value.parse().ok()).unwrap_or(0);
        let known = |name: &str| [HONOURED, REFUSED, HARMLESS].concat().iter().any(|(known, _)| *known == name);
        let others = variables.iter().filter(|(name, _)| name.starts_with("DIB_") && !known(name));
        Ok(Self {
            image,
            formats,
            out,
            has_checksum: asked.has_checksum || set("DIB_CHECKSUM").is_some_and(|value| value != "0"),
            compat,
            is_compressed: !asked.is_uncompressed,
            release: set("DIB_RELEASE").map(str::to_owned),
            known_as: set("DIB_IMAGE_NAME").map(str::to_owned),
            cache,
            trace: asked.trace.max(trace),
            unread: others.map(|(name, _)| name.to_owned()).collect(),
        })
    }

    /// The directory that its files go to.
    pub fn directory(&self) -> &Path {
        self.out.parent().unwrap_or(Path::new("/"))
    }

    /// The file of a format.
    pub fn image(&self, format: Format) -> PathBuf {
        self.with(format.word())
    }

    /// The files with the sums of one, md5 and sha256, whether they are wanted or not.
    pub fn sums(&self, format: Format) -> [PathBuf; 2] {
        ["md5", "sha256"].map(|sum| self.with(&format!("{}.{sum}", format.word())))
    }

    /// The directory of manifests.
    pub fn manifests(&self) -> PathBuf {
        self.with("d")
    }

    /// Where every file is written before it has its name.
    pub fn part(&self) -> PathBuf {
        self.with("part")
    }

    /// All files that it owes, images before their sums.
    pub fn files(&self) -> Vec<PathBuf> {
        let sums = |format: Format| if self.has_checksum { self.sums(format).to_vec() } else { Vec::new() };
        self.formats.iter().flat_map(|format| [vec![self.image(*format)], sums(*format)].concat()).collect()
    }

    /// Not `with_extension`, which would take what follows a dot in the name for one.
    fn with(&self, suffix: &str) -> PathBuf {
        let mut name = self.out.clone().into_os_string();
        name.push(format!(".{suffix}"));
        name.into()
    }
}

/// Where `ELEMENTS_PATH` (nodepool's `elements-dir`) names a site: the first of its directories with an `ostler.yaml`.
pub fn site(variables: &Variables) -> Option<PathBuf> {
    std::env::split_paths(variables.get("ELEMENTS_PATH")?).find(|path| path.join("ostler.yaml").is_file())
}

fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "armhf",
        other => other,
    }
}

fn formats(words: &[String], faults: &mut Vec<(String, String)>) -> Vec<Format> {
    let mut found = BTreeSet::new();
    for word in words {
        match [Format::Qcow2, Format::Raw, Format::Tar].into_iter().find(|format| format.word() == word) {
            Some(format) => {
                found.insert(format);
            }
            None => {
                let known = UNKNOWN_FORMATS.iter().find(|(name, _)| name == word);
                let advice = known.map_or("formats are qcow2, raw and tar", |(_, advice)| *advice);
                faults.push((format!("format `{word}` is not made"), advice.to_owned()));
            }
        }
    }
    if words.is_empty() {
        found.insert(Format::Qcow2);
    }
    found.into_iter().collect()
}

/// `key=value`, parted by commas, as qemu-img takes them.
fn compat(options: &str, faults: &mut Vec<(String, String)>) -> Compat {
    let mut compat = Compat::default();
    for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        match option {
            "compat=0.10" | "compat=v2" => compat = Compat::Old,
            "compat=1.1" | "compat=v3" => compat = Compat::New,
            _ => faults.push((
                format!("`--qemu-img-options {option}` is not for image builds"),
                "`compat=0.10` and `compat=1.1` are what can be chosen".to_owned(),
            )),
        }
    }
    compat
}

fn element(elements: &[String], faults: &mut Vec<(String, String)>) -> String {
    let (what, hint) = match elements {
        [one] if !one.contains('/') => return one.clone(),
        [one] => (format!("`{one}` is no name of an image"), "the one element is an image of the site: ostler image dib … NAME".to_owned()),
        [] => ("no image is named".to_owned(), "the one element is an image of the site: `elements: [NAME]` in nodepool.yaml".to_owned()),
        many => {
            let named: Vec<String> = many.iter().map(|name| format!("`{name}`")).collect();
            let hint =
                "one element names an image of the site, and its file says which roles it is made of: `elements: [NAME]` in nodepool.yaml";
            (format!("{} are several elements", named.join(", ")), hint.to_owned())
        }
    };
    faults.push((what, hint));
    String::new()
}

/// As disk-image-create has it, the suffix of the one format may be there already.
fn out(named: &Path, formats: &[Format]) -> Result<PathBuf, ImageError> {
    let bare = match formats {
        [one] if named.extension().is_some_and(|suffix| suffix == one.word()) => named.with_extension(""),
        _ => named.to_owned(),
    };
    if bare.file_name().is_none() || named.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let hint = "`-o` is a path in a directory that is there, without a suffix: -o /var/lib/nodepool/images/NAME";
        return Err(ImageError::refused(format!("`-o {}` names no file", named.display()), hint));
    }
    std::path::absolute(&bare).map_err(ImageError::file("find the directory of", &bare))
}
