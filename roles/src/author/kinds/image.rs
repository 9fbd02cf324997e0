//! The tables of an image: what it stands on, whom it is like, which words stand for what.

use super::types::{FieldSpec, Rule, ScalarType, Shape};

const TEXT: Shape = Shape::Scalar(ScalarType::Text);
const NAME: Shape = Shape::Scalar(ScalarType::Name);

/// `base`.
pub(in crate::author) const BASE: &[FieldSpec] = &[
    FieldSpec::new(
        "debootstrap",
        Shape::Record(&[
            FieldSpec::new("suite", TEXT, "The suite, `bookworm` or `noble`; its system must be one that this release knows.").required(),
            FieldSpec::new(
                "mirrors",
                Shape::List(&Shape::Scalar(ScalarType::Url)),
                "Where its packages come from; what the builder's own apt configuration names for that suite if not written.",
            ),
            FieldSpec::new(
                "components",
                Shape::List(&NAME),
                "Components of these mirrors; those of the builder's configuration, or `main`.",
            ),
        ]),
        "A tree made by mmdebstrap from the packages of Debian or Ubuntu.",
    ),
    FieldSpec::new(
        "cloud_image",
        TEXT,
        "A disk of a cloud, qcow2 or raw, of Debian or Ubuntu: a URL, or a file, below the site or absolute.",
    ),
    FieldSpec::new("tree", TEXT, "A root tree: a directory or an archive (tar), below the site or absolute."),
    FieldSpec::new("image", NAME, "Another image of the site."),
    FieldSpec::new(
        "sha256",
        Shape::Scalar(ScalarType::Digest),
        "The digest of a `cloud_image`, which must be written for a URL, or of an archive.",
    ),
];

/// Relations in `base`.
pub(in crate::author) const BASE_RULES: &[Rule] = &[Rule::ExactlyOne(&["debootstrap", "cloud_image", "tree", "image"])];

/// `like`.
pub(in crate::author) const LIKE: &[FieldSpec] = &[
    FieldSpec::new("group", NAME, "The image is what every node of this group is."),
    FieldSpec::new("node", NAME, "The image is what this node is."),
];

/// Relations in `like`.
pub(in crate::author) const LIKE_RULES: &[Rule] = &[Rule::ExactlyOne(&["group", "node"])];

/// `seal`.
pub(in crate::author) const SEAL: &[FieldSpec] = &[FieldSpec::new(
    "paths",
    Shape::List(&Shape::Scalar(ScalarType::Path)),
    "Files and directories that go with what sealing takes out by itself; looked for at the end.",
)
.required()];

/// `checkpoint`.
pub(in crate::author) const CHECKPOINT: &[FieldSpec] = &[
    FieldSpec::new("after", Shape::Scalar(ScalarType::Duration), "A step that took longer ends a layer; 30s if not written."),
    FieldSpec::new("bytes", Shape::Scalar(ScalarType::Bytes), "A step that wrote more ends a layer; 128 MiB if not written."),
];

/// Relations in `checkpoint`.
pub(in crate::author) const CHECKPOINT_RULES: &[Rule] = &[Rule::AtLeastOne(&["after", "bytes"])];

/// What an image may be written as.
pub(in crate::author) const FORMATS: Shape = Shape::List(&Shape::Choice(&["qcow2", "raw", "tar", "oci", "box"]));
/// Ways to boot.
pub(in crate::author) const FIRMWARE: Shape = Shape::List(&Shape::Choice(&["bios", "uefi"]));
/// File systems of the root.
pub(in crate::author) const FILESYSTEM: Shape = Shape::Choice(&["ext4"]);
/// What becomes of secrets.
pub(in crate::author) const SECRETS: Shape = Shape::Choice(&["refused", "baked"]);
/// What becomes of apt's lists.
pub(in crate::author) const APT_LISTS: Shape = Shape::Choice(&["keep", "drop"]);
